package config

// restarts are the keys and tables that a reload does not put in force. It takes all
// others, or none of them if there is a mistake.
var restarts = []struct{ name, why string }{
	{"user", "The daemon cannot become root again to change its user. A reload with another one is refused, and says so."},
	{"follow", "`bounce-milter follow` is a process of its own, and reads it when it starts: `systemctl restart bounce-milter-follow`."},
}
