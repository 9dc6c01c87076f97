#!/bin/sh
# Has Postfix tell bounce-milter which bounces it made itself: own-bounces.sh
#
# To a milter they look the same as what a user of this host hands in with sendmail(1),
# who may write any "bounce" he likes and send it from "<>". So bounce(8) gets a cleanup(8)
# of its own, which gives the name "own-bounces" in the macro {daemon_name}. No user
# reaches it: mail of sendmail(1) comes by pickup(8), which keeps the usual one.
#
# Only bounces with that name count as proved because this host made them (origin "ours",
# proof "local"; docs/origin.md). It needs the lines of main.cf beside this file that show
# Postfix's own bounces to bounce-milter. It may be run again, and undone by:
#	postconf -PX bounce/unix/cleanup_service_name defer/unix/cleanup_service_name \
#		trace/unix/cleanup_service_name
#	postconf -MX own_bounces/unix && postfix reload
set -eu
chroot=$(postconf -Fh cleanup/unix/chroot)
postconf -M own_bounces/unix="own_bounces unix n - $chroot - 0 cleanup"
postconf -P own_bounces/unix/milter_macro_daemon_name=own-bounces
for service in bounce defer trace; do
	postconf -P "$service/unix/cleanup_service_name=own_bounces"
done
postfix reload
