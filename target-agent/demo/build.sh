#!/bin/sh
# Builds the demo firmware and puts it where the host and its tests take it from: assets/demo.elf.
# The result depends on the sources and the compiler only, not on where they lie.
set -eu
demo=$(cd "$(dirname "$0")" && pwd)
repo=$(cd "$demo/../.." && pwd)
cargo_home=${CARGO_HOME:-$HOME/.cargo}
sysroot=$(rustc --print sysroot)
build=${CARGO_TARGET_DIR:-$demo/target}

cd "$demo"
export CARGO_TARGET_DIR="$build"
# One separator between flags, so that paths may hold spaces.
sep=$(printf '\037')
CARGO_ENCODED_RUSTFLAGS="--remap-path-prefix=$cargo_home/registry/src=crates${sep}--remap-path-prefix=$sysroot=rust${sep}--remap-path-prefix=$repo=highwater"
export CARGO_ENCODED_RUSTFLAGS
cargo build --release --locked --target thumbv7m-none-eabi
mkdir -p "$repo/assets"
cp "$build/thumbv7m-none-eabi/release/demo" "$repo/assets/demo.elf"
chmod 644 "$repo/assets/demo.elf"
ls -l "$repo/assets/demo.elf"
