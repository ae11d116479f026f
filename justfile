# Everyday commands; `just` lists them.
default:
    @just --list

# What CI looks at first.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    RUSTDOCFLAGS="-D warnings" cargo doc --no-deps --workspace

# All tests.
test:
    cargo nextest run --workspace

# The tool on the emulated board.
demo scenario="calm":
    cargo run --release -- demo --scenario {{scenario}}

# Accept changed screens, after looking at them: assets/screens/*.svg and tests/screens/snapshots.
screens:
    INSTA_UPDATE=always UPDATE_SCREENS=1 cargo nextest run --test screens

# What a refresh costs on the wire.
cost:
    cargo nextest run --test cost --no-capture

# The demo firmware: after every change below target-agent.
firmware:
    bash target-agent/demo/build.sh

# What the agent costs on the target.
measure:
    bash target-agent/measure.sh

# The agent under Miri.
miri:
    cargo +nightly miri test --package highwater-agent

# Everything, as CI does it.
ci:
    .ci/run
