//! A process that is told to end does, whatever a server does: each of these would keep it for ever.

#![cfg(feature = "simulator")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::time::Duration;

mod common;

/// What a server does with its client, until that leaves.
type Deed = fn(TcpStream) -> std::io::Result<()>;

/// Takes a connection and says that there is one.
fn serve(deed: Deed) -> (String, mpsc::Receiver<()>) {
    let listener = TcpListener::bind(("127.0.0.1", 0)).expect("a port is free");
    let address = listener.local_addr().expect("it has one").to_string();
    let (met, meeting) = mpsc::channel();
    std::thread::spawn(move || {
        for client in listener.incoming() {
            let client = client?;
            let _ = met.send(());
            // The client is gone.
            let _ = deed(client);
        }
        std::io::Result::Ok(())
    });
    (address, meeting)
}

/// Reads what comes, and answers none of it.
fn silent(mut client: TcpStream) -> std::io::Result<()> {
    let mut any = [0; 256];
    while client.read(&mut any)? > 0 {}
    Ok(())
}

/// Says that each packet has come, and no more.
fn polite(mut client: TcpStream) -> std::io::Result<()> {
    let mut any = [0; 256];
    while client.read(&mut any)? > 0 {
        client.write_all(b"+")?;
    }
    Ok(())
}

/// Begins an answer that never ends.
fn endless(mut client: TcpStream) -> std::io::Result<()> {
    client.write_all(b"+$")?;
    loop {
        client.write_all(b"0")?;
        std::thread::sleep(Duration::from_millis(1));
    }
}

/// Stops in the middle of a packet.
fn half(mut client: TcpStream) -> std::io::Result<()> {
    client.write_all(b"+$PacketSize=40")?;
    silent(client)
}

/// Asks for everything again, for ever.
fn deaf(mut client: TcpStream) -> std::io::Result<()> {
    let mut any = [0; 256];
    while client.read(&mut any)? > 0 {
        client.write_all(b"-")?;
    }
    Ok(())
}

/// Never reads what it is sent.
fn shut(client: TcpStream) -> std::io::Result<()> {
    let held = client;
    loop {
        std::thread::sleep(Duration::from_secs(1));
        held.peer_addr()?;
    }
}

fn highwater(way: [&str; 2]) -> Child {
    Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["attach", common::DEMO, way[0], way[1], "--format", "jsonl"])
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the binary runs")
}

#[test]
fn a_process_that_is_told_to_end_does_whatever_a_server_does() {
    let deeds: [(&str, Deed); 6] =
        [("silent", silent), ("polite", polite), ("endless", endless), ("half", half), ("deaf", deaf), ("shut", shut)];
    for (name, deed) in deeds {
        for flag in ["--gdb", "--qemu"] {
            for signal in ["INT", "TERM"] {
                let (address, meeting) = serve(deed);
                let place = if flag == "--qemu" { format!("tcp:{address}") } else { address };
                let mut process = highwater([flag, &place]);
                meeting.recv().expect("it connects");
                let pid = process.id().to_string();
                let sent = Command::new("sh").args(["-c", r#"kill -s "$0" "$1""#, signal, &pid]).status();
                assert!(sent.expect("a shell is there").success());
                // One that goes on for ever keeps its output open: this line is reached when it is gone.
                let told = BufReader::new(process.stdout.take().expect("it is piped")).lines().count();
                process.wait().expect("it ends");
                assert_eq!(told, 0, "{name} {flag} {signal}: nothing was ever known");
            }
        }
    }
}
