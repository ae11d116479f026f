#!/usr/bin/env bash
# Time and memory of what is done with a large ELF, beside other tools: the table in the README.
#
#   benches/elf.sh                  makes an ELF of about 140 MB first (see elf/large.sh)
#   benches/elf.sh FILE             measures this one
#
# Needs: bash 5, cargo, GNU time as /usr/bin/time, nm, readelf and addr2line (GNU binutils), llvm-nm. A tool that is missing is left
# out. The runs of all tools take turns, and each row is the median of its runs; the file is in the system's cache. Paths must
# have no spaces.
set -euo pipefail

root=$(cd "$(dirname "$0")/.." && pwd)
work=${ELF_BENCH_DIR:-$root/target/elf-bench}
rounds=${ELF_BENCH_ROUNDS:-7}
mkdir -p "$work"

file=${1:-$("$root/benches/elf/large.sh" "$work/large")}
tools=${ELF_BENCH_TOOLS:-$work/tools}
CARGO_TARGET_DIR=$tools cargo build --quiet --release --locked --manifest-path "$root/benches/elf/Cargo.toml"
bench=$tools/release/highwater-elf-bench

cat "$file" > /dev/null
address=$(nm "$file" | awk '!found && $2 ~ /[Tt]/ { found = 1; print "0x" $1 }')

names=() commands=()
row() {
  command -v "$2" > /dev/null || return 0
  names+=("$1")
  commands+=("${*:2}")
}
row "**highwater**: first picture" "$bench" picture "$file"
row "**highwater**: symbols, sorted" "$bench" symbols "$file"
row "\`nm --size-sort -S\`" nm --size-sort -S "$file"
row "\`nm --size-sort -S -C\`" nm --size-sort -S -C "$file"
row "\`llvm-nm --size-sort -S\`" llvm-nm --size-sort -S "$file"
row "\`readelf -sW\`" readelf -sW "$file"
row "**highwater**: lines of any address" "$bench" lines "$file"
row "**highwater**: the same, index of all types and statics" "$bench" index "$file"
row "**highwater**: the same, fields of all statics" "$bench" fields "$file"
row "probe-rs-debug: \`DebugInfo::from_file\`" "$bench" probe-rs "$file"
row "\`addr2line\`, one address" addr2line -f -e "$file" "$address"
row "\`readelf --debug-dump=info\`" readelf --debug-dump=info "$file"

median() { sort -n | awk '{ all[NR] = $1 } END { print all[int((NR + 1) / 2)] }'; }

for round in $(seq "$rounds"); do
  for at in "${!commands[@]}"; do
    # What prints gigabytes is run once.
    case ${commands[$at]} in *debug-dump*) [ "$round" = 1 ] || continue ;; esac
    # shellcheck disable=SC2086
    {
      begun=${EPOCHREALTIME/./}
      /usr/bin/time -o "$work/time" -f '%U %S %M' ${commands[$at]} > /dev/null 2> /dev/null || true
      ended=${EPOCHREALTIME/./}
    }
    echo "$((ended - begun)) $(tail -n 1 "$work/time")" >> "$work/row.$at.$$"
  done
done

echo "$(($(wc -c < "$file") / 1000000)) MB, median of $rounds runs"
echo
echo "| | time | of it CPU | peak memory |"
echo "|---|---:|---:|---:|"
for at in "${!commands[@]}"; do
  microseconds=$(cut -d' ' -f1 "$work/row.$at.$$" | median)
  cpu=$(awk '{ print ($2 + $3) * 1000 }' "$work/row.$at.$$" | median)
  kilobytes=$(cut -d' ' -f4 "$work/row.$at.$$" | median)
  printf '| %s | %s ms | %s ms | %s MB |\n' "${names[$at]}" "$((microseconds / 1000))" "$cpu" "$((kilobytes / 1000))"
  rm "$work/row.$at.$$"
done
