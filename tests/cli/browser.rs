//! Chromium without a screen: opens a page, and tells what it showed, what it complained of and whom it asked.

use std::path::Path;
use std::process::Command;

use serde_json::Value;
use tempfile::TempDir;

/// Names that Chromium has on the systems that package it.
const NAMES: [&str; 3] = ["chromium", "chromium-browser", "google-chrome"];

/// A browser that knows nothing yet.
pub(super) struct Browser {
    name: &'static str,
}

/// What came of opening a page.
pub(super) struct Seen {
    /// The document after its script has run.
    pub(super) dom: String,
    /// What stands on the console: errors, and what the policy refused.
    pub(super) complaints: Vec<String>,
    /// The addresses that it asked for, apart from the file itself.
    pub(super) requests: Vec<String>,
}

impl Browser {
    /// The one that is installed.
    pub(super) fn new() -> Self {
        let works = |name: &&&str| Command::new(name).arg("--version").output().is_ok_and(|ran| ran.status.success());
        Self { name: NAMES.iter().find(works).expect("Chromium is installed") }
    }

    /// Opens a file, with `place` behind its address: `#t=3`.
    pub(super) fn open(&self, page: &Path, place: &str) -> Seen {
        let folder = TempDir::new().expect("a folder can be made");
        let log = folder.path().join("net.json");
        let output = Command::new("timeout")
            .args(["--kill-after=5", "60", self.name, "--headless", "--no-sandbox", "--disable-gpu", "--disable-quic"])
            .args(["--no-first-run", "--disable-background-networking", "--disable-component-update", "--disable-sync"])
            .args(["--enable-logging=stderr", "--virtual-time-budget=5000", "--dump-dom"])
            .arg(format!("--user-data-dir={}", folder.path().join("profile").display()))
            .arg(format!("--log-net-log={}", log.display()))
            .arg(format!("file://{}{place}", page.display()))
            .output()
            .expect("it starts");
        assert!(output.status.success(), "{}: {}", self.name, String::from_utf8_lossy(&output.stderr));
        let said = String::from_utf8_lossy(&output.stderr);
        let complaints = said.lines().filter(|line| line.contains(":CONSOLE")).map(str::to_owned).collect();
        let net = std::fs::read_to_string(&log).expect("it logs what it asks for");
        Seen { dom: String::from_utf8_lossy(&output.stdout).into_owned(), complaints, requests: requests(&net) }
    }
}

/// The addresses that a page asked for in a log of Chromium's. What the browser asks for itself has no origin.
fn requests(net: &str) -> Vec<String> {
    let log: Value = serde_json::from_str(net).expect("the log is whole when the browser has ended");
    let kind = &log["constants"]["logEventTypes"]["URL_REQUEST_START_JOB"];
    assert!(kind.is_number(), "the log names its events");
    let events = log["events"].as_array().expect("a list");
    let of_the_page = |event: &&Value| event["type"] == *kind && event["params"]["initiator"] != "not an origin";
    let urls = events.iter().filter(of_the_page).filter_map(|event| event["params"]["url"].as_str());
    urls.filter(|url| !url.starts_with("file:")).map(str::to_owned).collect()
}
