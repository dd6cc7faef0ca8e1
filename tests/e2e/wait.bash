# shellcheck shell=bash
# Waiting, on a machine that may be busy with other things: no test measures time. What must end at all ends within
# HANG seconds; what must not work hard gets so many seconds of the processor (ulimit -t).
export HANG=300

# wait_for COMMAND...: until it succeeds
wait_for() {
	local end=$((SECONDS + HANG))
	until "$@" 2>/dev/null; do
		[ $SECONDS -lt $end ] || { echo "waited in vain: $*"; return 1; }
		sleep 0.02
	done
}
