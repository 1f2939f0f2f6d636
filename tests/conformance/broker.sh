# Sourced by `run`: a broker for the time of one check.

# A port of 127.0.0.1 that nobody listens on. Another program may take it in between: then the broker
# does not start, and says so.
free_port() {
    local port
    while true; do
        port=$((20000 + RANDOM % 12000))
        (: <"/dev/tcp/127.0.0.1/$port") 2>/dev/null || break
    done
    echo "$port"
}

# start_broker LOG FLAG...: starts the release binary, waits until it is ready, and sets $broker_address.
# It is stopped at the latest when this (sub)shell ends.
start_broker() {
    broker_log=$out/$1
    shift
    broker_address=127.0.0.1:$(free_port)
    "$target/release/fanwire" --listen "$broker_address" "$@" >"$broker_log" 2>&1 &
    broker_pid=$!
    trap 'kill -9 "$broker_pid" 2>/dev/null || true' EXIT
    local attempt
    for ((attempt = 0; attempt < 200; attempt++)); do
        kill -0 "$broker_pid" 2>/dev/null || break
        if curl -fsS -o "$out/readyz" "http://$broker_address/readyz" 2>/dev/null; then
            rm -f "$out/readyz"
            return
        fi
        sleep 0.05
    done
    cat "$broker_log" >&2
    die "the broker did not become ready on $broker_address"
}

# start_tls_broker LOG FLAG...: the same, with a second address, $tls_address, that speaks TLS.
start_tls_broker() {
    tls_address=127.0.0.1:$(free_port)
    start_broker "$@" --listen "tls://$tls_address" --tls-cert "$certificate" --tls-key "$certificate_key"
}

# Asks the broker to stop, and fails unless it was still there and leaves with status 0.
stop_broker() {
    local status=0
    kill -TERM "$broker_pid" || die "the broker died during the test: see $broker_log"
    wait "$broker_pid" || status=$?
    ((status == 0)) || die "the broker stopped with status $status: see $broker_log"
}
