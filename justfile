# Everyday commands; `just` lists them.
default:
    @just --list

# What CI looks at first.
check:
    cargo fmt --all --check
    cargo clippy --workspace --all-targets -- -D warnings
    cargo clippy --no-default-features -- -D warnings
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

# What the tool itself costs.
bench:
    cargo bench --bench speed

# The agent for every core it supports; `rustup target add` them first.
agent:
    for target in thumbv6m-none-eabi thumbv7m-none-eabi thumbv7em-none-eabihf thumbv8m.main-none-eabi riscv32imac-unknown-none-elf; do \
        cargo build --package highwater-agent --release --target $target || exit 1; \
    done

# The demo firmware: after every change below target-agent.
firmware:
    bash target-agent/demo/build.sh

# What the agent costs on the target.
measure:
    bash target-agent/measure.sh

# The agent in C against the one in Rust; needs gcc, clang and arm-none-eabi-gcc.
c:
    cargo nextest run --test c_agent --run-ignored all -E 'not test(kernels::)'

# Its ports on real kernels, which are fetched into this folder.
ports folder:
    sh target-agent/ports/fetch.sh {{folder}}
    HIGHWATER_KERNELS={{folder}} cargo nextest run --test c_agent --run-ignored all -E 'test(kernels::)'

# The agent under Miri.
miri:
    cargo +nightly miri test --package highwater-agent

# Feed it anything: `image` or `agent_block`, from the seeds on, for so many seconds.
fuzz target seconds="180":
    mkdir -p fuzz/corpus/{{target}}
    cp fuzz/seeds/{{target}}/* fuzz/corpus/{{target}}/
    cargo +nightly fuzz run {{target}} -- -max_total_time={{seconds}} -max_len=20000 -timeout=10 -rss_limit_mb=4096

# Licences, sources and duplicates of dependencies.
deny:
    cargo deny --locked check bans licenses sources

# Everything, as CI does it.
ci:
    .ci/run
