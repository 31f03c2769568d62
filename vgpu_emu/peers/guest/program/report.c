/* Lines for the one who watches the serial port. */
#include "probe.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

void report(const char *format, ...)
{
	va_list values;

	va_start(values, format);
	putchar('@');
	vprintf(format, values);
	putchar('\n');
	fflush(stdout);
	va_end(values);
}

int refused(const char *what)
{
	int error = errno;

	report("refused what=%s errno=%s", what, strerrorname_np(error));
	errno = error;
	return -1;
}

/* Each line of a file of the kernel's as it is. */
void report_file(const char *name, const char *path)
{
	char line[512];
	FILE *file = fopen(path, "r");

	if (file == NULL) {
		refused(name);
		return;
	}
	while (fgets(line, sizeof(line), file) != NULL) {
		line[strcspn(line, "\n")] = '\0';
		report("%s text=%s", name, line);
	}
	fclose(file);
}

int write_file(const char *path, const char *text)
{
	int file = open(path, O_WRONLY);
	int failed;

	if (file < 0)
		return -1;
	failed = write(file, text, strlen(text)) < 0;
	close(file);
	return failed ? -1 : 0;
}

/* Whoever reads these lines may look at the host's side now. They answer with a line; nobody may be there. */
void watch(const char *what, uint64_t number)
{
	struct pollfd one = {.fd = STDIN_FILENO, .events = POLLIN};
	char answer[16];

	report("watch what=%s number=%llu", what, (unsigned long long)number);
	if (poll(&one, 1, 20000) != 1 || read(STDIN_FILENO, answer, sizeof(answer)) < 0)
		report("nobody-watches what=%s", what);
}

double now(void)
{
	struct timespec time;

	clock_gettime(CLOCK_MONOTONIC, &time);
	return time.tv_sec + time.tv_nsec / 1e9;
}
