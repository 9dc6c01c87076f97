/* A milter on libmilter that looks at everything and does nothing: what the
   daemon is measured against. Its argument is a socket as libmilter spells it. */
#include <stdio.h>
#include <sys/stat.h>
#include <libmilter/mfapi.h>

static sfsistat on_connect(SMFICTX *c, char *h, _SOCK_ADDR *a) { return SMFIS_CONTINUE; }
static sfsistat on_string(SMFICTX *c, char *s) { return SMFIS_CONTINUE; }
static sfsistat on_envelope(SMFICTX *c, char **a) { return SMFIS_CONTINUE; }
static sfsistat on_header(SMFICTX *c, char *n, char *v) { return SMFIS_CONTINUE; }
static sfsistat on_event(SMFICTX *c) { return SMFIS_CONTINUE; }
static sfsistat on_body(SMFICTX *c, unsigned char *b, size_t n) { return SMFIS_CONTINUE; }

int main(int argc, char **argv)
{
	struct smfiDesc d = {
		.xxfi_name = "noop", .xxfi_version = SMFI_VERSION, .xxfi_flags = SMFIF_ADDHDRS | SMFIF_CHGHDRS,
		.xxfi_connect = on_connect, .xxfi_helo = on_string, .xxfi_envfrom = on_envelope, .xxfi_envrcpt = on_envelope,
		.xxfi_header = on_header, .xxfi_eoh = on_event, .xxfi_body = on_body, .xxfi_eom = on_event, .xxfi_abort = on_event,
		.xxfi_close = on_event, .xxfi_data = on_event,
	};
	if (argc != 2) {
		fprintf(stderr, "usage: noop SOCKET\n");
		return 2;
	}
	umask(0);
	if (smfi_setconn(argv[1]) == MI_FAILURE || smfi_register(d) == MI_FAILURE)
		return 1;
	return smfi_main() == MI_SUCCESS ? 0 : 1;
}
