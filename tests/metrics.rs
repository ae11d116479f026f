//! Numbers for Prometheus, scraped from the real binary over a real socket.
#![cfg(all(unix, feature = "simulator"))]

mod common;

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};

use common::DEMO;

/// A running export; it ends with this.
struct Export {
    child: Child,
    address: String,
}

impl Export {
    fn start(arguments: &[&str]) -> Self {
        let mut child = Command::new(env!("CARGO_BIN_EXE_highwater"))
            .args(arguments)
            .arg("--prometheus=127.0.0.1:0")
            .stdout(Stdio::piped())
            .stderr(Stdio::null())
            .spawn()
            .expect("the binary starts");
        let mut line = String::new();
        let output = child.stdout.as_mut().expect("it is a pipe");
        BufReader::new(output).read_line(&mut line).expect("it says where it is");
        let address = line.trim().strip_prefix("http://").and_then(|line| line.strip_suffix("/metrics"));
        Self { child, address: address.expect("an address").to_owned() }
    }

    /// Sends this, and gives what comes back until the other side closes.
    fn ask(&self, request: &str) -> String {
        let mut stream = TcpStream::connect(&self.address).expect("it listens");
        stream.write_all(request.as_bytes()).expect("it takes it");
        let mut answer = String::new();
        stream.read_to_string(&mut answer).expect("it answers and closes");
        answer
    }

    fn get(&self, path: &str) -> String {
        self.ask(&format!("GET {path} HTTP/1.1\r\nHost: here\r\n\r\n"))
    }

    /// Asks until the answer has this in it: the target was looked at.
    fn wait_for(&self, text: &str) -> String {
        loop {
            let answer = self.get("/metrics");
            if answer.contains(text) {
                return answer;
            }
        }
    }

    fn end(mut self) -> Option<i32> {
        let pid = self.child.id().to_string();
        let sent = Command::new("sh").args(["-c", r#"kill -s TERM "$0""#, &pid]).status().expect("a shell is there");
        assert!(sent.success());
        self.child.wait().expect("it ended").code()
    }
}

#[test]
fn a_scrape_has_every_stack_and_heap_and_leaves_the_target_alone() {
    let export = Export::start(&["attach", DEMO, "--probe", "sim", "--sim-link", "ideal"]);
    let answer = export.wait_for("highwater_stack_peak_bytes{stack=\"growth\"");
    for text in [
        "HTTP/1.1 200 OK",
        "content-type: text/plain; version=0.0.4",
        "\nhighwater_up 1\n",
        "\nhighwater_core_halts_total 0\n",
        "\nhighwater_memory_writes_total 0\n",
        "highwater_heap_size_bytes{heap=\"heap\",id=\"20003890\"} 50032",
        "highwater_memory_size_bytes{memory=\"RAM\"} 65536",
        "core=\"Cortex-M3\"",
    ] {
        assert!(answer.contains(text), "no `{text}` in\n{answer}");
    }
    assert_eq!(export.end(), Some(0), "a signal is the way to end it");
}

#[test]
fn what_is_no_scrape_is_turned_away() {
    let export = Export::start(&["demo", "--sim-link", "ideal"]);
    for (request, status) in [
        ("GET / HTTP/1.1\r\nHost: here\r\n\r\n", "404"),
        ("POST /metrics HTTP/1.1\r\nHost: here\r\nContent-Length: 0\r\n\r\n", "405"),
        ("nonsense\r\n\r\n", "400"),
    ] {
        let answer = export.ask(request);
        assert!(answer.starts_with(&format!("HTTP/1.1 {status}")), "{request:?}: {answer}");
    }
    let endless = format!("GET /{} HTTP/1.1\r\n", "a".repeat(100_000));
    let mut stream = TcpStream::connect(&export.address).expect("it listens");
    // It may close before all of this is written.
    let _ = stream.write_all(endless.as_bytes());
    drop(stream);
    assert!(export.get("/metrics").contains("200 OK"), "it still answers");
    assert_eq!(export.end(), Some(0));
}

#[test]
fn an_address_that_is_taken_is_told_with_the_way_out() {
    let taken = std::net::TcpListener::bind("127.0.0.1:0").expect("there is a free one");
    let address = taken.local_addr().expect("it has one").to_string();
    for (arguments, code, words) in [
        (
            vec!["demo".to_owned(), format!("--prometheus={address}")],
            1,
            "choose another with --prometheus=ADDRESS:PORT",
        ),
        (vec!["demo".into(), "--prometheus".into(), "--tripwire=halt".into()], 2, "no key"),
        (vec!["snapshot".into(), DEMO.into(), "--prometheus".into()], 2, "highwater attach --prometheus"),
    ] {
        let output = Command::new(env!("CARGO_BIN_EXE_highwater")).args(&arguments).output().expect("it runs");
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{arguments:?}: {said}");
        assert!(said.contains(words), "{arguments:?}: {said}");
    }
}

#[test]
fn the_dashboard_asks_for_numbers_that_there_are() {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/assets/grafana.json");
    let text = std::fs::read_to_string(path).expect("it is there");
    let dashboard: serde_json::Value = serde_json::from_str(&text).expect("it is JSON");
    let panels = dashboard["panels"].as_array().expect("a list");
    let asked: std::collections::BTreeSet<&str> = panels
        .iter()
        .filter_map(|panel| panel["targets"][0]["expr"].as_str())
        .flat_map(|expression| expression.split(|c: char| !c.is_ascii_alphanumeric() && c != '_'))
        .filter(|word| word.starts_with("highwater_"))
        .collect();
    assert!(asked.len() >= 10, "{asked:?}");
    let export = Export::start(&["demo", "--sim-link", "ideal"]);
    let answer = export.wait_for("highwater_stack_peak_bytes{");
    for name in asked {
        assert!(answer.contains(&format!("# TYPE {name} ")), "nobody tells {name}");
    }
    assert_eq!(export.end(), Some(0));
}

#[test]
#[ignore = "needs promtool: apt-get install prometheus"]
fn prometheus_itself_accepts_the_numbers() {
    let export = Export::start(&["demo", "--sim-link", "ideal", "--scenario", "overflow", "--sim-time", "12s"]);
    let answer = export.wait_for("highwater_alert{");
    let (_, body) = answer.split_once("\r\n\r\n").expect("a head and a body");
    let mut promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("promtool is installed");
    promtool.stdin.take().expect("it is a pipe").write_all(body.as_bytes()).expect("it reads");
    let output = promtool.wait_with_output().expect("it ends");
    let said = [output.stdout, output.stderr].concat();
    assert!(output.status.success() && said.is_empty(), "{}", String::from_utf8_lossy(&said));
    assert_eq!(export.end(), Some(0));
}
