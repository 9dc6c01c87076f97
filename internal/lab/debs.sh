#!/bin/sh
# Installs Debian packages that are absent: debs.sh PACKAGE…
# It never removes a package: on a machine with another mail server it stops with
# apt's own explanation.
set -eu
absent=
for p in "$@"; do
	if ! dpkg-query -W -f '${db:Status-Status}\n' "$p" 2>/dev/null | grep -qx installed; then
		absent="$absent $p"
	fi
done
if [ -z "$absent" ]; then
	exit 0
fi
echo "installing Debian packages:$absent"
if [ "$(id -u)" != 0 ]; then
	echo "that needs root: run again as root, or: apt-get install$absent" >&2
	exit 1
fi
export DEBIAN_FRONTEND=noninteractive
# Neither ask about nor start a mail system on this machine.
if command -v debconf-set-selections >/dev/null; then
	echo 'postfix postfix/main_mailer_type select No configuration' | debconf-set-selections
fi
log=$(mktemp)
policy=
trap 'rm -f "$log" $policy' EXIT
trap 'exit 1' HUP INT TERM
# Debian asks this before it starts a service; 101 is no.
if [ ! -e /usr/sbin/policy-rc.d ]; then
	policy=/usr/sbin/policy-rc.d
	printf '#!/bin/sh\nexit 101\n' >"$policy"
	chmod 755 "$policy"
fi
# apt runs apt-get. Another one at work, such as the machine's daily one, is waited for: apt
# itself would wait for dpkg's lock only.
apt() {
	tries=60
	until LC_ALL=C apt-get -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300 "$@" </dev/null >"$log" 2>&1; do
		tries=$((tries - 1))
		if [ "$tries" = 0 ] || ! grep -q 'Could not get lock' "$log"; then
			return 1
		fi
		sleep 5
	done
}
install() {
	# shellcheck disable=SC2086 # a list of words
	apt install -q -y --no-install-recommends --no-remove $absent
}
if ! install; then
	apt update -q || { cat "$log" >&2; exit 1; }
	install || { cat "$log" >&2; exit 1; }
fi
case " $absent " in
*" postfix "*) [ -e /etc/postfix/main.cf ] || echo "postfix has no configuration and does not run; to use it yourself: dpkg-reconfigure postfix" ;;
esac
