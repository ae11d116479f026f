#!/usr/bin/env bash
# Makes a large Arm ELF with debug information out of crates of the registry, and prints its path: what `elf.sh` measures
# when it is given none. Nothing in it ever runs; all of each crate is linked, used or not.
#
# Needs: cargo, and `rustup target add armv7-unknown-linux-gnueabihf`.
set -euo pipefail

folder=${1:?give a folder to build in}
target=armv7-unknown-linux-gnueabihf
mkdir -p "$folder/src"
folder=$(cd "$folder" && pwd)

cat > "$folder/Cargo.toml" <<'TOML'
[package]
name = "large"
version = "0.0.0"
edition = "2024"

[workspace]

[dependencies]
chrono = { version = "0.4", default-features = false, features = ["std"] }
clap = { version = "4", features = ["derive"] }
gimli = "0.34"
image = { version = "0.25", default-features = false, features = ["png"] }
object = "0.40"
proptest = { version = "1", default-features = false, features = ["std"] }
ratatui = { version = "0.30", default-features = false }
regex = "1"
serde_json = "1"
syn = { version = "2", features = ["full", "extra-traits", "visit", "fold"] }
tokio = { version = "1", features = ["full"] }
toml = "1"

[profile.dev]
debug = 2
incremental = false
TOML
echo 'fn main() {}' > "$folder/src/main.rs"

# In place of a cross compiler's linker: the toolchain's own, over all libraries whole. What is not there (the C library)
# stays undefined.
cat > "$folder/link.sh" <<'LINK'
#!/usr/bin/env bash
set -euo pipefail
objects=() output=
while [ $# -gt 0 ]; do
  case "$1" in
    -o) output=$2; shift ;;
    *.o) objects+=("$1") ;;
  esac
  shift
done
sysroot=$(rustc --print sysroot)
host=$(rustc -vV | sed -n 's/^host: //p')
exec "$sysroot/lib/rustlib/$host/bin/rust-lld" -flavor gnu --whole-archive --unresolved-symbols=ignore-all \
  --allow-multiple-definition -Ttext=0x8010000 -o "$output" "${objects[@]}" "$LARGE_DEPS"/*.rlib \
  "$sysroot/lib/rustlib/$LARGE_TARGET/lib"/*.rlib 2> /dev/null
LINK
chmod +x "$folder/link.sh"

export LARGE_TARGET=$target LARGE_DEPS=$folder/target/$target/debug/deps
export CARGO_TARGET_ARMV7_UNKNOWN_LINUX_GNUEABIHF_LINKER=$folder/link.sh
RUSTFLAGS="-C link-dead-code" CARGO_TARGET_DIR=$folder/target \
  cargo build --quiet --manifest-path "$folder/Cargo.toml" --target $target >&2
echo "$folder/target/$target/debug/large"
