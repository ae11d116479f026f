#!/bin/sh
# Gets the kernels that the ports are tested with into a folder, for HIGHWATER_KERNELS: the commits that were checked.
# Nothing of them belongs to this repository.
set -eu
into=${1:?usage: fetch.sh FOLDER}
get() {
    [ -d "$into/$2" ] && return
    git init -q "$into/$2"
    git -C "$into/$2" fetch -q --depth 1 "https://github.com/$1" "$3"
    git -C "$into/$2" checkout -q FETCH_HEAD
}
mkdir -p "$into"
get FreeRTOS/FreeRTOS-Kernel FreeRTOS-Kernel 4269c69a16f924c11adeedbb31591f6fad9f41b2
get eclipse-threadx/threadx threadx 7ad78c40e9702917264a9b722890110fdb909ebc
get ARM-software/CMSIS-RTX CMSIS-RTX 161e285b9e10e79cd6ac6d7ed7bd7a41ba57493b
get ARM-software/CMSIS_6 CMSIS_6 7f62ddc8ab8e9af22039912b8f9f46a9290f49ba
