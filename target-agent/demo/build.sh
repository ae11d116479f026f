#!/bin/sh
# Builds the demo firmware and puts it where the host and its tests take it from: assets/demo.elf.
# The result depends on the sources and the compiler only, not on where they lie.
set -eu
demo=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$demo/../.." && pwd)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)
build=${CARGO_TARGET_DIR:-$demo/target}

# Cargo mixes the absolute path of the agent into the names of symbols, so the sources are built under one name
# wherever they are. The directory's maker owns it: a second build at the same time stops here.
place=/tmp/highwater-demo-build
mkdir "$place"
trap 'rm -f "$place/repo"; rmdir "$place"' EXIT
trap 'exit 1' INT TERM
ln -s "$repo" "$place/repo"

# One separator between flags, so that paths may hold spaces.
sep=$(printf '\037')
flags="--remap-path-prefix=$cargo_home/registry/src=crates"
flags="$flags$sep--remap-path-prefix=$sysroot=rust"
flags="$flags$sep--remap-path-prefix=$repo=highwater"
flags="$flags$sep--remap-path-prefix=$place/repo=highwater"
cd /
CARGO_ENCODED_RUSTFLAGS="$flags" CARGO_TARGET_DIR="$build" cargo build --release --locked \
    --manifest-path "$place/repo/target-agent/demo/Cargo.toml" --target thumbv7m-none-eabi
mkdir -p "$repo/assets"
cp "$build/thumbv7m-none-eabi/release/demo" "$repo/assets/demo.elf"
chmod 644 "$repo/assets/demo.elf"
ls -l "$repo/assets/demo.elf"
