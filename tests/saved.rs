//! Memory that was saved of a running board, in place of the board.
#![cfg(feature = "simulator")]

mod common;

#[test]
fn what_was_saved_of_a_running_board_is_told_as_it_was_while_it_ran() {
    let mut demo = common::Demo::new(0, 1, common::INSTANT, Some(30.0));
    demo.watch_until(std::time::Duration::from_secs(5));
    demo.model.ingest(demo.sampler.refresh_thoroughly());
    let live = highwater::report::Report::new(&demo.model);
    let ram = demo.board.peek(0x2000_0000, 0x1_0000).expect("the board has RAM");
    let folder = tempfile::tempdir().expect("there is room");
    let path = folder.path().join("ram.bin");
    std::fs::write(&path, ram).expect("it can be written");
    let given = format!("0x20000000:{}", path.display());
    let out = std::process::Command::new(env!("CARGO_BIN_EXE_highwater"))
        .args(["snapshot", common::DEMO, "--ram", &given, "--format", "json"])
        .output()
        .expect("the binary runs");
    let saved: serde_json::Value = serde_json::from_slice(&out.stdout)
        .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&out.stderr)));
    assert_eq!(saved["state"], "saved");
    let stacks = saved["stacks"].as_array().expect("there are stacks");
    assert_eq!(stacks.len(), live.stacks.len());
    for (stack, live) in stacks.iter().zip(&live.stacks) {
        assert_eq!(stack["name"], live.name.as_str());
        assert_eq!(stack["peak"].as_u64(), live.peak.map(u64::from), "{}", live.name);
    }
    assert_eq!(saved["heaps"][0]["used"].as_u64(), live.heaps[0].used.map(u64::from));
    assert_eq!(saved["heaps"][0]["blocks"].as_u64(), live.heaps[0].blocks.map(u64::from));
}
