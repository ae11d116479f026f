//! Where a server listens: a host and a port, or a socket in the file system.

use std::fmt;
use std::io::{self, Read, Write};
use std::net::{TcpStream, ToSocketAddrs};
use std::path::PathBuf;
use std::str::FromStr;
use std::sync::mpsc;
use std::time::{Duration, Instant};

use super::ending;

/// How long a connection may take to come about.
const CONNECTING: Duration = Duration::from_secs(2);
/// How long the system may take to find the addresses of a name, and to try the first of several.
const NAMING: Duration = Duration::from_secs(10);

/// A host and a port: `localhost:3333`, `[::1]:3333`, or `:3333` for this machine, as GDB takes it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct HostPort {
    host: String,
    port: u16,
}

impl FromStr for HostPort {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let bad = || "a host and a port, as in localhost:3333".to_owned();
        let (host, port) = text.rsplit_once(':').ok_or_else(bad)?;
        let host = host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host);
        let port = port.parse().ok().filter(|port| *port != 0).ok_or_else(bad)?;
        let is_name = host.chars().all(|c| c.is_ascii_alphanumeric() || ".-_:%".contains(c));
        if !is_name {
            return Err(bad());
        }
        Ok(Self { host: if host.is_empty() { "localhost".into() } else { host.into() }, port })
    }
}

impl fmt::Display for HostPort {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.host.contains(':') {
            true => write!(out, "[{}]:{}", self.host, self.port),
            false => write!(out, "{}:{}", self.host, self.port),
        }
    }
}

impl HostPort {
    /// Connects, trying each address of the host.
    pub(super) fn connect(&self) -> io::Result<TcpStream> {
        // The system's calls for it cannot be given up, and the end must not wait for them.
        let (server, (told, outcome)) = (self.clone(), mpsc::channel());
        std::thread::Builder::new().name("connect".into()).spawn(move || told.send(server.connect_at_last()))?;
        let never = Instant::now() + NAMING + CONNECTING;
        loop {
            let left = ending::deadline(never).saturating_duration_since(Instant::now());
            match outcome.recv_timeout(ending::look(left)) {
                Ok(outcome) => return outcome,
                Err(mpsc::RecvTimeoutError::Timeout) if !left.is_zero() => {}
                Err(_) => return Err(io::ErrorKind::TimedOut.into()),
            }
        }
    }

    fn connect_at_last(&self) -> io::Result<TcpStream> {
        let mut failure = io::Error::new(io::ErrorKind::NotFound, "the host has no address");
        for address in (self.host.as_str(), self.port).to_socket_addrs()? {
            match TcpStream::connect_timeout(&address, CONNECTING) {
                Ok(stream) => return Ok(stream),
                Err(error) => failure = error,
            }
        }
        Err(failure)
    }
}

/// A socket in the file system, or a host and a port: `/run/qemu.sock`, `unix:/run/qemu.sock`, `tcp:localhost:4444`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    /// A socket in the file system.
    Unix(PathBuf),
    /// A host and a port.
    Tcp(HostPort),
}

impl FromStr for Endpoint {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        if let Some(address) = text.strip_prefix("tcp:") {
            return address.parse().map(Self::Tcp).map_err(|bad| format!("behind `tcp:` comes {bad}"));
        }
        match text.strip_prefix("unix:").unwrap_or(text) {
            "" => Err("the path of a socket, or tcp:HOST:PORT".into()),
            path => Ok(Self::Unix(path.into())),
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Unix(path) => out.write_str(&crate::units::printable(&path.to_string_lossy(), 4096)),
            Self::Tcp(address) => write!(out, "tcp:{address}"),
        }
    }
}

/// A connection whose two directions are used by turns.
pub(super) trait Stream: Read + Write + Send {
    /// How long the next read may wait.
    fn patience(&self, time: Duration) -> io::Result<()>;
}

impl Stream for TcpStream {
    fn patience(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))
    }
}

#[cfg(unix)]
impl Stream for std::os::unix::net::UnixStream {
    fn patience(&self, time: Duration) -> io::Result<()> {
        self.set_read_timeout(Some(time))
    }
}

impl Endpoint {
    /// Connects.
    pub(super) fn connect(&self) -> io::Result<Box<dyn Stream>> {
        match self {
            Self::Tcp(address) => {
                let stream = address.connect()?;
                stream.set_nodelay(true)?;
                stream.set_write_timeout(Some(CONNECTING))?;
                Ok(Box::new(stream))
            }
            #[cfg(unix)]
            Self::Unix(path) => {
                let stream = std::os::unix::net::UnixStream::connect(path)?;
                stream.set_write_timeout(Some(CONNECTING))?;
                Ok(Box::new(stream))
            }
            #[cfg(not(unix))]
            Self::Unix(_) => Err(io::Error::new(
                io::ErrorKind::Unsupported,
                "sockets in the file system are not to be had on this system; use tcp:HOST:PORT",
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_is_named_as_gdb_and_qemu_name_it() {
        for (text, shown) in [
            ("localhost:3333", Some("localhost:3333")),
            (":3333", Some("localhost:3333")),
            ("[::1]:3333", Some("[::1]:3333")),
            ("127.0.0.1:1", Some("127.0.0.1:1")),
            ("localhost", None),
            ("3333", None),
            ("localhost:0", None),
            ("localhost:65536", None),
            ("a b:1", None),
            ("\u{1b}[2J:1", None),
        ] {
            let found = text.parse::<HostPort>().ok().map(|server| server.to_string());
            assert_eq!(found.as_deref(), shown, "{text}");
        }
        for (text, shown) in [
            ("/run/q.sock", Some("/run/q.sock")),
            ("unix:q.sock", Some("q.sock")),
            ("tcp:localhost:4444", Some("tcp:localhost:4444")),
            ("tcp:localhost", None),
            ("unix:", None),
            ("", None),
        ] {
            let found = text.parse::<Endpoint>().ok().map(|endpoint| endpoint.to_string());
            assert_eq!(found.as_deref(), shown, "{text}");
        }
    }
}
