/* A completions server whose times are known: each request gets its first chunk after TTFT ms and one
 * chunk each ITL ms. What was really sent, and when, goes to a log (CLOCK_MONOTONIC, seconds):
 * one line for each answer: received first_sent last_sent tokens p99_gap longest_gap.
 *
 *   cc -O2 -o http_server benchmarks/http_server.c && ./http_server PORT TTFT_MS ITL_MS LOG
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/tcp.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/epoll.h>
#include <time.h>
#include <unistd.h>

#define CONNECTIONS 4096
#define TOKENS 4096

struct connection {
  int open, busy, length;
  char in[1 << 16];
  double received, due, sent[TOKENS];
  int tokens, prompt, wanted, chat, stream;
};

static struct connection *all[CONNECTIONS];
static FILE *log_file;
static double ttft_s, itl_s;

static double now(void) {
  struct timespec t;
  clock_gettime(CLOCK_MONOTONIC, &t);
  return t.tv_sec + t.tv_nsec * 1e-9;
}

static int order(const void *a, const void *b) {
  double x = *(const double *)a, y = *(const double *)b;
  return (x > y) - (x < y);
}

static void put(int fd, const char *text, int size) {
  while (size > 0) {
    ssize_t n = write(fd, text, size);
    if (n < 0 && errno == EAGAIN) continue;
    if (n <= 0) return;
    text += n, size -= n;
  }
}

static void put_chunk(int fd, const char *event) {
  char framed[2048];
  int size = snprintf(framed, sizeof framed, "%zx\r\n%s\r\n", strlen(event), event);
  put(fd, framed, size);
}

static void end_answer(int fd, struct connection *c) {
  char event[512];
  double gaps[TOKENS];
  snprintf(event, sizeof event,
           "data: {\"id\":\"x\",\"object\":\"text_completion\",\"model\":\"m\",\"choices\":[],\"usage\":"
           "{\"prompt_tokens\":%d,\"completion_tokens\":%d,\"total_tokens\":%d}}\n\n",
           c->prompt, c->tokens, c->prompt + c->tokens);
  put_chunk(fd, event);
  put_chunk(fd, "data: [DONE]\n\n");
  put(fd, "0\r\n\r\n", 5);
  for (int i = 1; i < c->tokens; i++) gaps[i - 1] = c->sent[i] - c->sent[i - 1];
  qsort(gaps, c->tokens - 1, sizeof *gaps, order);
  fprintf(log_file, "%.6f %.6f %.6f %d %.6f %.6f\n", c->received, c->sent[0],
          c->sent[c->tokens - 1], c->tokens, c->tokens > 1 ? gaps[(c->tokens - 1) * 99 / 100] : 0.0,
          c->tokens > 1 ? gaps[c->tokens - 2] : 0.0);
  fflush(log_file);
  c->busy = 0;
}

static void send_token(int fd, struct connection *c) {
  char event[512];
  const char *finish = c->tokens + 1 == c->wanted ? "\"length\"" : "null";
  if (c->chat)
    snprintf(event, sizeof event,
             "data: {\"id\":\"x\",\"object\":\"chat.completion.chunk\",\"model\":\"m\",\"choices\":[{"
             "\"index\":0,\"delta\":{\"content\":\" a\"},\"finish_reason\":%s}]}\n\n", finish);
  else
    snprintf(event, sizeof event,
             "data: {\"id\":\"x\",\"object\":\"text_completion\",\"model\":\"m\",\"choices\":[{\"index\":"
             "0,\"text\":\" a\",\"finish_reason\":%s,\"token_ids\":[5]}]}\n\n", finish);
  put_chunk(fd, event);
  c->sent[c->tokens++] = now();
  c->due += itl_s;
  if (c->tokens == c->wanted) end_answer(fd, c);
}

static int number_after(const char *text, const char *key, int otherwise) {
  const char *at = strstr(text, key);
  if (!at) return otherwise;
  at = strchr(at, ':');
  return at ? atoi(at + 1) : otherwise;
}

static int count(const char *text, char wanted) {
  int n = 0;
  for (; *text; text++) n += *text == wanted;
  return n;
}

static void answer(int fd, struct connection *c) {
  char *body = strstr(c->in, "\r\n\r\n");
  if (!body) return;
  char *length = strcasestr(c->in, "content-length:");
  int needed = length ? atoi(length + 15) : 0;
  body += 4;
  if (c->length - (body - c->in) < needed) return;
  if (!strncmp(c->in, "GET", 3)) {
    const char *list = "{\"object\":\"list\",\"data\":[{\"id\":\"m\",\"object\":\"model\"}]}";
    char head[256];
    put(fd, head, snprintf(head, sizeof head,
        "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %zu\r\n\r\n%s",
        strlen(list), list));
  } else {
    c->received = now(), c->due = c->received + ttft_s, c->tokens = 0;
    c->chat = strstr(c->in, "/chat/") != NULL;
    c->wanted = number_after(body, "\"max_tokens\"", number_after(body, "\"max_completion_tokens\"", 16));
    if (c->wanted < 1 || c->wanted > TOKENS) c->wanted = 16;
    char *ids = strstr(body, "\"prompt\":[");
    c->prompt = ids ? count(ids, ',') + 1 : 8;
    if (ids) { char *end = strchr(ids, ']'); *end = 0; c->prompt = count(ids, ',') + 1; }
    const char *head = "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n"
                       "Transfer-Encoding: chunked\r\n\r\n";
    put(fd, head, strlen(head));
    c->busy = 1;
  }
  c->length = 0;
}

int main(int argc, char **argv) {
  if (argc != 5) return 2;
  signal(SIGPIPE, SIG_IGN);
  ttft_s = atof(argv[2]) / 1e3, itl_s = atof(argv[3]) / 1e3;
  log_file = fopen(argv[4], "w");
  int one = 1, listener = socket(AF_INET, SOCK_STREAM, 0), poller = epoll_create1(0);
  struct sockaddr_in at = {.sin_family = AF_INET, .sin_port = htons(atoi(argv[1]))};
  at.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  setsockopt(listener, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one);
  if (bind(listener, (struct sockaddr *)&at, sizeof at) || listen(listener, 1024)) return 1;
  struct epoll_event wanted = {.events = EPOLLIN, .data.fd = listener}, found[256];
  epoll_ctl(poller, EPOLL_CTL_ADD, listener, &wanted);
  for (;;) {
    double next = 1e18, moment = now();
    for (int fd = 0; fd < CONNECTIONS; fd++)
      if (all[fd] && all[fd]->open && all[fd]->busy) {
        while (all[fd]->busy && all[fd]->due <= moment) send_token(fd, all[fd]);
        if (all[fd]->busy && all[fd]->due < next) next = all[fd]->due;
      }
    double wait_s = next - now();
    struct timespec wait = {0, 0};
    if (wait_s > 0) {
      if (wait_s > 1) wait_s = 1;
      wait.tv_sec = (time_t)wait_s, wait.tv_nsec = (long)((wait_s - (time_t)wait_s) * 1e9);
    }
    int n = epoll_pwait2(poller, found, 256, &wait, NULL);
    for (int i = 0; i < n; i++) {
      int fd = found[i].data.fd;
      if (fd == listener) {
        int client = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
        if (client < 0 || client >= CONNECTIONS) { close(client); continue; }
        setsockopt(client, IPPROTO_TCP, TCP_NODELAY, &one, sizeof one);
        if (!all[client]) all[client] = malloc(sizeof **all);
        memset(all[client], 0, sizeof **all);
        all[client]->open = 1;
        wanted.data.fd = client;
        epoll_ctl(poller, EPOLL_CTL_ADD, client, &wanted);
        continue;
      }
      struct connection *c = all[fd];
      ssize_t size = read(fd, c->in + c->length, sizeof c->in - 1 - c->length);
      if (size <= 0 && !(size < 0 && errno == EAGAIN)) {
        c->open = 0;
        close(fd);
        continue;
      }
      if (size > 0) c->length += size, c->in[c->length] = 0;
      answer(fd, c);
    }
  }
}
