#!/usr/bin/env bash
# Makes sure that a Chromium for the browser tests is there. Without one those tests are skipped, but in CI they fail.
set -euo pipefail

if [ -n "${DALI_CHROMIUM:-}" ] && [ -x "$DALI_CHROMIUM" ]; then exit 0; fi
for name in chromium chromium-browser google-chrome google-chrome-stable; do
    if command -v "$name" >/dev/null; then exit 0; fi
done
if [ -x "/Applications/Google Chrome.app/Contents/MacOS/Google Chrome" ]; then exit 0; fi

as_root=()
if [ "$(id -u)" != 0 ]; then as_root=(sudo -n); fi
if command -v apt-get >/dev/null && "${as_root[@]}" true 2>/dev/null; then
    echo "Installing Chromium for the browser tests ..."
    if "${as_root[@]}" apt-get update -qq &&
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get install -y -qq --no-install-recommends chromium fonts-dejavu-core >/dev/null; then
        exit 0
    fi
fi

echo "No Chromium was found and it could not be installed here: install Chromium or Chrome, or set DALI_CHROMIUM" \
    "to its path." >&2
if [ "${CI:-}" = true ]; then exit 1; fi
echo "The browser tests are skipped until then." >&2
