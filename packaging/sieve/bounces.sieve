# Sorts tagged bounces into folders (RFC 5228; mailbox is RFC 5490).
#
# You can trust these headers only if forged ones are removed from all mail: by Postfix
# (strip_bounce_headers.regexp), or by bounce-milter on mail that passes through it.
require ["fileinto", "mailbox"];

# This message still has verdicts that a stranger wrote, so none counts. It goes where
# it would go without them.
if exists "X-Bounce-Forged" {
    stop;
}

# Not our mail that came back: our address was forged on somebody else's. This header is
# there only if [origin] is configured (docs/origin.md).
if header :is "X-Bounce-Origin" "foreign" {
    fileinto :create "Bounces.Foreign";
    stop;
}

# Abuse reports, receipts and automatic replies have only this header.
if header :is "X-Bounce-Kind" "feedback" {
    fileinto :create "Reports.Abuse";
    stop;
}
if header :is "X-Bounce-Kind" ["auto-reply", "disposition"] {
    fileinto :create "Reports.Automatic";
    stop;
}

# Nothing failed: a delivery receipt.
if header :is "X-Bounce-Action" ["delivered", "relayed", "expanded"] {
    fileinto :create "Bounces.Delivered";
    stop;
}

# The MTA is still trying.
if header :is "X-Bounce-Action" "delayed" {
    fileinto :create "Bounces.Delayed";
    stop;
}

# hard: stop mailing this address, but not if it is not proved that our mail went there:
# anybody can write a bounce that calls an address dead. A report may name several.
if allof (header :is "X-Bounce-Type" "hard", exists "X-Bounce-Origin",
          anyof (not header :is "X-Bounce-Origin" "ours",
                 header :contains "X-Bounce-Result" ["bound=no", "origin=unproven"])) {
    fileinto :create "Bounces.Unproven";
    stop;
}
if header :is "X-Bounce-Type" "hard" {
    fileinto :create "Bounces.Hard";
    stop;
}

# The recipient is over quota: keep the address, try later.
if header :is "X-Bounce-Category" "mailbox-full" {
    fileinto :create "Bounces.Full";
    stop;
}

# block: the sender was refused. These want somebody's attention.
if header :is "X-Bounce-Category" ["sender-reputation", "dmarc", "blocked"] {
    fileinto :create "Bounces.Reputation";
    stop;
}
if header :is "X-Bounce-Type" "block" {
    fileinto :create "Bounces.Refused";
    stop;
}

if exists "X-Bounce-Category" {
    fileinto :create "Bounces.Soft";
    stop;
}
