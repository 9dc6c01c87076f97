-- One session with several messages, as an MTA of protocol version VER sends
-- them, without an Abort between them (as Sendmail does) or with one (as
-- Postfix does).
local function fail(what)
	mt.echo(what) -- miltertest does not print the text of an error
	error(what)
end
local function ok(r, what)
	if r ~= nil then fail(what .. ": " .. tostring(r)) end
end
local function expect(got, want, what)
	if got ~= want then fail(what .. ": got " .. tostring(got) .. ", want " .. tostring(want)) end
end

local conn = mt.connect(SOCK, 40, 0.05)
if conn == nil then fail("no connection") end
local version = VER and tonumber(VER) or nil
ok(mt.negotiate(conn, version, nil, nil), "negotiate")
expect(mt.test_action(conn, SMFIF_ADDHDRS), true, "asks to add headers")
expect(mt.test_action(conn, SMFIF_CHGHDRS), true, "asks to change headers")
ok(mt.macro(conn, SMFIC_CONNECT, "j", "mx.lab.test", "{daemon_name}", "test"), "connect macros")
ok(mt.conninfo(conn, "mx.remote.test", "192.0.2.9"), "conninfo")
expect(mt.getreply(conn), SMFIR_CONTINUE, "reply to connect")
ok(mt.helo(conn, "mx.remote.test"), "helo")
expect(mt.getreply(conn), SMFIR_CONTINUE, "reply to helo")

-- A recipient, unless the filter asked to be spared them.
local function rcpt()
	if mt.test_option(conn, SMFIP_NORCPT) then return end
	ok(mt.rcptto(conn, "<user@lab.test>"), "rcpt")
	expect(mt.getreply(conn), SMFIR_CONTINUE, "reply to rcpt")
end

local report = {
	"This is the mail system.\r\n",
	"--b\r\nContent-Type: text/plain\r\n\r\nSorry.\r\n",
	"--b\r\nContent-Type: message/delivery-status\r\n\r\nReporting-MTA: dns; mx.remote.test\r\n\r\n",
	"Final-Recipient: rfc822; gone@remote.test\r\nAction: failed\r\nStatus: 5.1.1\r\n",
	"Diagnostic-Code: smtp; 550 5.1.1 <gone@remote.test>: User unknown\r\n\r\n--b--\r\n",
}

local function bounce(n)
	ok(mt.macro(conn, SMFIC_MAIL, "i", "QUEUE" .. n, "{mail_addr}", ""), "macros")
	ok(mt.mailfrom(conn, "<>"), "mail")
	expect(mt.getreply(conn), SMFIR_CONTINUE, "reply to mail")
	rcpt()
	ok(mt.header(conn, "From", "MAILER-DAEMON@mx.remote.test"), "header")
	ok(mt.header(conn, "X-Bounce-Category", "dmarc"), "header")
	ok(mt.header(conn, "Subject", "Undelivered Mail Returned to Sender"), "header")
	ok(mt.header(conn, "X-Bounce-Category", "blocked"), "header")
	ok(mt.header(conn, "X-Empty", ""), "header")
	ok(mt.header(conn, "MIME-Version", "1.0"), "header")
	ok(mt.header(conn, "Content-Type", "multipart/report; report-type=delivery-status;\n\tboundary=b"), "header")
	ok(mt.eoh(conn), "end of header")
	for _, chunk in ipairs(report) do
		ok(mt.bodystring(conn, chunk), "body")
	end
	ok(mt.eom(conn), "end of message")
	expect(mt.getreply(conn), SMFIR_ACCEPT, "reply to end of message")
	expect(mt.eom_check(conn, MT_HDRINSERT, "X-Bounce-Category", "invalid-address"), true, "category inserted")
	expect(mt.eom_check(conn, MT_HDRINSERT, "X-Bounce-Type", "hard"), true, "type inserted")
	expect(mt.eom_check(conn, MT_HDRINSERT, "X-Bounce-Reason", "unknown-recipient"), true, "reason inserted")
	expect(mt.eom_check(conn, MT_HDRINSERT, "X-Bounce-Action", "failed"), true, "action inserted")
	expect(mt.eom_check(conn, MT_HDRINSERT, "X-Bounce-Result"), true, "result inserted")
	expect(mt.eom_check(conn, MT_HDRDELETE, "X-Bounce-Category"), true, "forged category deleted")
	expect(mt.eom_check(conn, MT_HDRDELETE, "Subject"), false, "subject deleted")
	expect(mt.eom_check(conn, MT_BODYCHANGE), false, "body changed")
	expect(mt.eom_check(conn, MT_RCPTADD, "<user@lab.test>"), false, "recipient added")
end

-- Ordinary mail: accepted at some point, and nothing is done to it.
local function ordinary(n)
	ok(mt.macro(conn, SMFIC_MAIL, "i", "QUEUE" .. n, "{mail_addr}", "ann@remote.test"), "macros")
	ok(mt.mailfrom(conn, "<ann@remote.test>"), "mail")
	if mt.getreply(conn) == SMFIR_ACCEPT then return end
	rcpt()
	for _, h in ipairs({ { "From", "ann@remote.test" }, { "Subject", "Dinner" }, { "X-Bounced", "no" } }) do
		ok(mt.header(conn, h[1], h[2]), "header")
		if mt.getreply(conn) == SMFIR_ACCEPT then return end
	end
	ok(mt.eoh(conn), "end of header")
	expect(mt.getreply(conn), SMFIR_ACCEPT, "reply to end of header")
end

for n = 1, 5 do
	bounce(n)
	if ABORT then mt.abort(conn) end
	ordinary(n)
	if ABORT then mt.abort(conn) end
end

-- Aborts where a client may think better of it.
ok(mt.mailfrom(conn, "<>"), "mail"); mt.getreply(conn)
mt.abort(conn)
ok(mt.mailfrom(conn, "<>"), "mail"); mt.getreply(conn)
rcpt()
ok(mt.header(conn, "X-Bounce-Type", "hard"), "header")
mt.abort(conn)
bounce(6)
mt.disconnect(conn)
