# Sourced by `run`: how each part gets what it needs. Every `need_*` is idempotent, installs
# what is missing, and fails when it cannot; what it installs is pinned.

websocat_version=1.14.1

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

# apt_install PACKAGE...
apt_install() {
    command -v apt-get >/dev/null || die "no apt-get here: install $* by hand"
    local as_root=()
    ((EUID == 0)) || as_root=(sudo)
    echo "installing $* with apt"
    if [[ ! -e $cache/apt-updated ]]; then
        "${as_root[@]}" apt-get -qq -o Acquire::Retries=3 update
        touch "$cache/apt-updated"
    fi
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
        apt-get -qq -o Acquire::Retries=3 install -y --no-install-recommends "$@"
}

# need_command COMMAND PACKAGE
need_command() {
    command -v "$1" >/dev/null || apt_install "$2"
    command -v "$1" >/dev/null || die "$1 is missing, and the package $2 did not bring it"
}

# The release binary, and the programs of ours that are examples of its packages.
need_broker() {
    need_command cargo cargo
    need_command curl curl
    (cd "$root" && cargo build --locked --release --bin fanwire)
}

# need_example PACKAGE EXAMPLE
need_example() {
    (cd "$root" && cargo build --locked --release --package "$1" --example "$2")
}

# A Python with lib2to3, which the Autobahn runner needs and which left the library in 3.13.
suitable_python() {
    local candidate
    for candidate in python3.12 python3.11 python3; do
        if "$candidate" -c 'import ensurepip, lib2to3' 2>/dev/null; then
            echo "$candidate"
            return
        fi
    done
    return 1
}

# A virtual environment in $venv with what the two requirements files pin.
need_python() {
    local requirements=("$here/autobahn/requirements.txt" "$here/clients/requirements.txt")
    cat "${requirements[@]}" | cmp -s - "$venv/installed" && return
    suitable_python >/dev/null || apt_install python3 python3-venv
    local python
    python=$(suitable_python) || die "no Python 3.11 or 3.12 with the modules ensurepip and lib2to3"
    echo "installing Python packages into $venv"
    "$python" -m venv --clear "$venv"
    "$venv/bin/python" -m pip install --quiet --disable-pip-version-check --retries 5 \
        --requirement "${requirements[0]}" --requirement "${requirements[1]}"
    cat "${requirements[@]}" >"$venv/installed"
}

need_node() {
    need_command node nodejs
    need_command npm npm
    node -e 'process.exit(Number.parseInt(process.versions.node) < 18 ? 1 : 0)' ||
        die "Node 18 or later is needed; this is $(node --version)"
    cmp -s "$here/package-lock.json" "$here/node_modules/installed" && return
    echo "installing Node packages"
    npm --prefix "$here" ci --no-audit --no-fund --loglevel=error
    cp "$here/package-lock.json" "$here/node_modules/installed"
}

# Go with Debian's gorilla/websocket, which lives in its GOPATH.
need_gorilla() {
    need_command go golang-go
    local package=/usr/share/gocode/src/github.com/gorilla/websocket
    [[ -d $package ]] || apt_install golang-github-gorilla-websocket-dev
    [[ -d $package ]] || die "$package is missing"
}

need_websocat() {
    need_command jq jq
    [[ $("$cache/bin/websocat" --version 2>/dev/null) == "websocat $websocat_version" ]] && return
    echo "installing websocat $websocat_version with cargo"
    # Without TLS, which needs OpenSSL's headers, and into a target directory of its own.
    CARGO_TARGET_DIR=$cache/websocat-target cargo install websocat --quiet \
        --version "$websocat_version" --locked --root "$cache" \
        --no-default-features --features unix_stdio,compression,signal_handler
    rm -rf "$cache/websocat-target"
}

# A certificate for 127.0.0.1 that vouches for itself, in $certificate, and its key, in $certificate_key.
need_certificate() {
    need_command openssl openssl
    certificate=$cache/tls.pem
    certificate_key=$cache/tls.key
    # Made anew when it is not there, or good for less than a day.
    openssl x509 -in "$certificate" -noout -checkend 86400 >/dev/null 2>&1 && return
    openssl req -x509 -newkey ec -pkeyopt ec_paramgen_curve:P-256 -nodes -days 30 -subj '/CN=Fanwire conformance' \
        -addext subjectAltName=IP:127.0.0.1 -keyout "$certificate_key" -out "$certificate" 2>/dev/null
}

need_chromium() {
    need_command chromium chromium
}
