# Sourced by every `start PORT`: what they have in common.

set -euo pipefail

port=${1:?usage: start PORT}
here=$(cd "$(dirname "$0")" && pwd)

# Debian keeps its servers where the PATH of ordinary users does not lead.
PATH=$PATH:/usr/sbin

# A connection is a file, and the soft limit is 1,024 of them on most machines.
ulimit -S -n "$(ulimit -H -n)"

# need FILE WHAT: leaves with the status that says "not installed" when there is no such program or file.
need() {
    if [[ ! -r $1 ]] && ! command -v "$1" >/dev/null; then
        echo "absent: $2; run benches/peers/install" >&2
        exit 69
    fi
}
