#!/bin/sh
# Brings the project's own Node.js and packages, from any Node.js 18 or later and its npm, when
# the lock files changed; sourced by ./demo and ./test, which then use "$NODE". Run by itself it
# also builds what bin/* start: sh tools/setup.sh
case $0 in *setup.sh) cd "$(dirname "$(readlink -f "$0")")/.." ;; esac
case $(uname -m) in x86_64) arch=x64 ;; aarch64) arch=arm64 ;; *) arch=$(uname -m) ;; esac
NODE=$PWD/tools/toolchain/node_modules/node-linux-$arch/bin/node
installed() { cmp -s "$1package-lock.json" "$1node_modules/.flocker-lock"; }
install_packages() { # DIRECTORY/ WHAT NPM...: stamped last, so that an interrupted one is repeated
  directory=$1 && shift
  echo "flocker: installing $1 (once)" >&2 && shift
  # npm trusts whom the machine trusts, and keeps what it compiles in the checkout, not in /tmp.
  (export NODE_USE_SYSTEM_CA=1 NODE_COMPILE_CACHE="$PWD/.cache/compiled"
    cd "./$directory" && "$@" ci --ignore-scripts --no-audit --no-fund --loglevel=error) \
    >.cache/npm.log 2>&1 || { cat .cache/npm.log >&2; exit 1; }
  cp "${directory}package-lock.json" "${directory}node_modules/.flocker-lock"
}
if ! { [ -x "$NODE" ] && installed tools/toolchain/ && installed ""; }; then
  command -v node >/dev/null && command -v npm >/dev/null ||
    { echo "flocker: missing: Node.js 18 or later and npm (apt-get install nodejs npm)" >&2; exit 1; }
  [ "${preflight:-}" = no ] || node tools/preflight.mjs
  mkdir -p .cache && export npm_config_cache="$PWD/.cache/npm"
  exec 9>.cache/setup.lock && flock 9
  installed tools/toolchain/ && [ -x "$NODE" ] ||
    install_packages tools/toolchain/ "Node.js 24" npm
  npm_cli=$PWD/tools/toolchain/node_modules/npm/bin/npm-cli.js
  installed "" || PATH=$(dirname "$NODE"):$PATH \
    install_packages "" "the project's packages" "$NODE" "$npm_cli"
  exec 9>&-
fi
case $0 in *setup.sh) "$NODE" tools/build.ts ;; esac
