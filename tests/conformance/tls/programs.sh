#!/usr/bin/env bash
# What curl and openssl make of the broker's TLS.
#
#     programs.sh wss://HOST:PORT           with CURL_CA_BUNDLE, the certificate that vouches for it
set -euo pipefail

address=${1#wss://}
steps=0

fail() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

ok() {
    steps=$((steps + 1))
    printf 'ok  %s\n' "$*"
}

# session FLAG...: what openssl says of a session in which a request is answered and the broker says goodbye.
session() {
    printf 'GET /healthz HTTP/1.1\r\nHost: x\r\nConnection: close\r\n\r\n' |
        timeout 10 openssl s_client -connect "$address" -CAfile "$CURL_CA_BUNDLE" -verify_return_error -ign_eof "$@" 2>&1
}

for version in 1.2 1.3; do
    [[ $(curl -fsS "--tlsv$version" --tls-max "$version" "https://$address/healthz") == ok ]] || fail "curl, TLS $version"
    ok "curl speaks TLS $version"
done
body=$(printf 'x%.0s' {1..500000})
curl -fsS -o /dev/null --data-binary @- "https://$address/topics/tls.curl" <<<"$body"
[[ $(curl -fsS "https://$address/topics/tls.curl") == "$body" ]] || fail "the message comes back changed"
ok "half a megabyte goes there and comes back"

for cipher in TLS_AES_128_GCM_SHA256 TLS_AES_256_GCM_SHA384 TLS_CHACHA20_POLY1305_SHA256; do
    said=$(session -tls1_3 -ciphersuites "$cipher") || fail "TLS 1.3 with $cipher: $said"
    [[ $said == *"Cipher is $cipher"* && $said == *'HTTP/1.1 200 '* && $said == *closed* ]] || fail "$cipher: $said"
done
for cipher in ECDHE-ECDSA-AES128-GCM-SHA256 ECDHE-ECDSA-AES256-GCM-SHA384 ECDHE-ECDSA-CHACHA20-POLY1305; do
    said=$(session -tls1_2 -cipher "$cipher") || fail "TLS 1.2 with $cipher: $said"
    [[ $said == *"Cipher is $cipher"* && $said == *'HTTP/1.1 200 '* && $said == *closed* ]] || fail "$cipher: $said"
done
ok 'openssl speaks both versions with every cipher'

ticket=$(mktemp)
trap 'rm -f "$ticket"' EXIT
for version in -tls1_2 -tls1_3; do
    session "$version" -sess_out "$ticket" >/dev/null || fail "no session, $version"
    [[ $(session "$version" -sess_in "$ticket") == *Reused,* ]] || fail "the session is not gone on with, $version"
done
ok 'openssl goes on from a ticket in both versions'

[[ $(session -alpn h2,http/1.1) == *'ALPN protocol: http/1.1'* ]] || fail 'http/1.1 is not agreed on'
if said=$(session -alpn h2); then fail "h2 alone is agreed on: $said"; fi
[[ $said == *'no application protocol'* ]] || fail "it is not said why: $said"
ok 'http/1.1 is the protocol'

if said=$(session -tls1_1 -cipher ALL:@SECLEVEL=0); then fail "TLS 1.1 is spoken: $said"; fi
[[ $said == *' alert '* ]] || fail "it is not said: $said"
ok 'TLS 1.1 is refused'

said=$(curl -sS -w '%{http_code}' "http://$address/healthz")
[[ $said == *tls_required*400 ]] || fail "without TLS: $said"
ok 'who speaks HTTP without TLS is told so'
printf '%d steps ok\n' "$steps"
