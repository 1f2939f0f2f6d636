#!/usr/bin/env bash
# The scenario that all clients here go through, with websocat, as a person would use it: JSON, a line
# per message. (It has no permessage-deflate, and its lines cannot carry binary messages.)
#
#     websocat_client.sh WEBSOCAT ORIGIN          # ws://HOST:PORT
set -euo pipefail

websocat=$1
origin=$2
timeout_s=10
topic=clients.websocat
wrong_epoch=0000000000000000
long=$(printf 'fan%.0s' {1..2000})

folder=$(mktemp -d)
trap 'kill $(jobs -p) 2>/dev/null || true; rm -rf "$folder"' EXIT
declare -A to from pid waiting

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# open NAME PATH FLAG...
open() {
    local name=$1 path=$2
    shift 2
    mkfifo "$folder/$name.in" "$folder/$name.out"
    (
        # Another connection's pipe held open here would keep that connection from ending.
        for fd in "${to[@]}" "${from[@]}"; do exec {fd}>&-; done
        exec "$websocat" -vv --text --linemode-strip-newlines \
            --close-status-code 1000 --close-reason done "$@" - "$origin$path" \
            <"$folder/$name.in" >"$folder/$name.out" 2>"$folder/$name.log"
    ) &
    pid[$name]=$!
    waiting[$name]=
    local fd
    exec {fd}>"$folder/$name.in"
    to[$name]=$fd
    exec {fd}<"$folder/$name.out"
    from[$name]=$fd
}

# open_json NAME: a session with the JSON interface; sets $epoch.
open_json() {
    open "$1" /v1/ws --protocol fanwire.v1.json
    expect "$1" welcome true
    epoch=$(jq -r .epoch <<<"$notification")
}

send() {
    printf '%s\n' "$2" >&"${to[$1]}"
}

# receive NAME: sets $line.
receive() {
    read -r -t "$timeout_s" line <&"${from[$1]}" || {
        cat "$folder/$1.log" >&2
        fail "nothing came on $1 within $timeout_s s"
    }
}

# expect NAME TYPE FILTER: the next notification of this type, of which the jq filter must be true; sets
# $notification. Those of other types wait until they are asked for.
expect() {
    local name=$1 type=$2 filter=$3
    notification=$(jq -cn --arg type "$type" 'first(inputs | select(.type == $type))' <<<"${waiting[$name]}")
    if [[ -n $notification ]]; then
        waiting[$name]=$(grep -vxF -m 1 -e "$notification" <<<"${waiting[$name]}" || true)
    else
        while true; do
            receive "$name"
            notification=$line
            [[ $(jq -r .type <<<"$line") == "$type" ]] && break
            waiting[$name]+=$line$'\n'
        done
    fi
    jq -e "$filter" <<<"$notification" >"$folder/verdict" ||
        fail "not true: $filter of $notification"
}

# publish NAME OFFSET FIELDS: publishes with id "p", and checks the receipt.
publish() {
    send "$1" '{"type":"publish","id":"p","topic":"'$topic'",'"$3"'}'
    expect "$1" published ".id == \"p\" and .topic == \"$topic\" and .epoch == \"$epoch\" and .offset == $2"
}

# hang_up NAME: ends the input; websocat sends a close frame, and must see the answer.
hang_up() {
    local fd=${to[$1]}
    exec {fd}>&-
    wait "${pid[$1]}" || fail "websocat ended with status $?: $(cat "$folder/$1.log")"
    if read -r -t 1 line <&"${from[$1]}"; then
        fail "nobody asked for $line"
    fi
    fd=${from[$1]}
    exec {fd}<&-
    unset "to[$1]" "from[$1]"
    grep -q 'The close message is Some(CloseData { status_code: 1000' "$folder/$1.log" ||
        fail "no close with 1000 came back: $(cat "$folder/$1.log")"
    rm "$folder/$1."*
}

# leave NAME: closes cleanly, with nothing unexpected left behind.
leave() {
    send "$1" '{"type":"ping","id":"last"}'
    expect "$1" pong '.id == "last"'
    [[ -z ${waiting[$1]} ]] || fail "notifications that nobody asked for: ${waiting[$1]}"
    hang_up "$1"
}

publish_and_subscribe() {
    open_json one
    send one '{"type":"subscribe","id":1,"topic":"'$topic'"}'
    expect one subscribed ".id == 1 and .topic == \"$topic\" and .epoch == \"$epoch\""
    start=$(jq .offset <<<"$notification")
    publish one $((start + 1)) '"key":"k1","data":{"n":1,"text":"grüße ☃"}'
    expect one message ".topic == \"$topic\" and .offset == $((start + 1)) and .key == \"k1\"
        and .data == {\"n\":1,\"text\":\"grüße ☃\"} and (.time / 1000 - now | fabs) < 600"
    publish one $((start + 2)) '"data":"not for me","echo":false'
    publish one $((start + 3)) '"data":"'"$long"'"'
    expect one message ".offset == $((start + 3)) and .data == \"$long\""
    leave one
}

recover() {
    open_json publisher
    publish publisher $((start + 4)) '"data":"☃"'
    publish publisher $((start + 5)) '"data":"AAH/","encoding":"base64"'
    publish publisher $((start + 6)) '"data":[1,2,3]'

    open_json back
    send back '{"type":"subscribe","id":1,"topic":"'$topic'","since":{"epoch":"'"$epoch"'","offset":'$((start + 3))'}}'
    expect back subscribed ".id == 1 and .epoch == \"$epoch\" and .offset == $((start + 3)) and .recovered == true"
    expect back message ".offset == $((start + 4)) and .data == \"☃\" and (has(\"encoding\") | not)"
    expect back message ".offset == $((start + 5)) and .data == \"AAH/\" and .encoding == \"base64\""
    expect back message ".offset == $((start + 6)) and .data == [1,2,3]"
    publish publisher $((start + 7)) '"data":"live"'
    expect back message ".offset == $((start + 7)) and .data == \"live\""
    leave publisher
    leave back
}

recover_from_another_epoch() {
    open_json lost
    send lost '{"type":"subscribe","id":1,"topic":"'$topic'","since":{"epoch":"'$wrong_epoch'","offset":'$((start + 3))'}}'
    expect lost subscribed ".id == 1 and .epoch == \"$epoch\" and .recovered == false"
    local offset
    for ((offset = start + 1; offset <= start + 7; offset++)); do
        expect lost message ".offset == $offset"
    done
    send lost '{"type":"unsubscribe","id":2,"topic":"'$topic'"}'
    expect lost unsubscribed ".id == 2 and .topic == \"$topic\""
    leave lost
}

raw() {
    local payload
    open first "/topics/$topic.raw" --protocol fanwire.v1.raw
    open second "/topics/$topic.raw"
    # The second is subscribed when what it says itself comes back.
    for name in first second; do
        send "$name" "$name is here"
        until [[ ${line-} == "$name is here" ]]; do receive "$name"; done
    done
    receive first
    for payload in 'hello ☃' "$long"; do
        send first "$payload"
        for name in first second; do
            receive "$name"
            [[ $line == "$payload" ]] || fail "$name got $line instead of $payload"
        done
    done
    open late "/topics/$topic.raw?since=earliest"
    for payload in 'first is here' 'second is here' 'hello ☃' "$long"; do
        receive late
        [[ $line == "$payload" ]] || fail "the history has $line instead of $payload"
    done
    for name in first second late; do hang_up "$name"; done
}

publish_and_subscribe
echo 'ok  publish and subscribe, then a clean close'
recover
echo 'ok  recover exactly what was missed'
recover_from_another_epoch
echo 'ok  another epoch is not recovered'
raw
echo 'ok  raw: publish, subscribe, catch up, close'
echo '4 steps ok'
