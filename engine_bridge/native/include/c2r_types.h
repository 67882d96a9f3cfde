/* Codes and structures of c2r_client.h, which includes this file.
 *
 * Structures begin with struct_size, which the caller sets to sizeof. Of a larger one the library reads
 * the part it knows, for a smaller one it takes defaults: either side may be newer than the other.
 * c2r_init_* set the size and the defaults. Texts are UTF-8 with a zero at the end. Flags are int32_t, 0 or 1. Conventions of images, depth, motion and matrices are
 * those of proto/c2r/wire/v1/renderer.proto. */
#ifndef C2R_TYPES_H
#define C2R_TYPES_H

#include <stdint.h>

#ifdef __cplusplus
extern "C" {
#endif

/* Goes up when a call or the meaning of a field changes; new fields at the end do not count. */
#define C2R_ABI_VERSION 1u

enum { C2R_TEXT_BYTES = 512, C2R_FIELD_BYTES = 64, C2R_NAME_BYTES = 128 };

/* What a call returns; 0 or above is success. */
typedef enum c2r_code {
  C2R_OK = 0,
  C2R_E_ARGUMENT = -1,    /* a value is out of range; c2r_last_error says which */
  C2R_E_STATE = -2,       /* not now: not opened, opened twice, closed */
  C2R_E_MEMORY = -3,      /* the system gives no memory or no thread */
  C2R_E_FULL = -4,        /* too many outcomes wait for c2r_poll */
  C2R_E_UNREACHABLE = -5, /* nothing answers at the address */
  C2R_E_TLS = -6,         /* the secure connection cannot be made */
  C2R_E_AUTH = -7,        /* the token is wrong or missing */
  C2R_E_VERSION = -8,     /* the server speaks another major version */
  C2R_E_REFUSED = -9,     /* the server will not have this session: size, codec, prompt */
  C2R_E_PROTOCOL = -10,   /* the other side breaks HTTP/2, gRPC or the contract */
  C2R_E_TIMEOUT = -11,    /* silence, or no answer to frames, for too long */
  C2R_E_BROKEN = -12,     /* the connection or the session ended */
  C2R_E_UNSUPPORTED = -13,/* this build lacks it: a codec, TLS */
  C2R_E_TOO_LARGE = -14,  /* a message beyond a limit */
  C2R_E_TAKEN_OVER = -15  /* another client took this session over */
} c2r_code;

typedef enum c2r_state {
  C2R_STATE_IDLE = 0, /* created, not opened */
  C2R_STATE_CONNECTING = 1,
  C2R_STATE_QUEUED = 2,
  C2R_STATE_STREAMING = 3,
  C2R_STATE_RECONNECTING = 4,
  C2R_STATE_CLOSED = 5, /* final */
  C2R_STATE_FAILED = 6  /* final */
} c2r_state;

/* Numbers as in renderer.proto. */
typedef enum c2r_codec {
  C2R_CODEC_RAW = 1,
  C2R_CODEC_ZSTD = 2,
  C2R_CODEC_LZ4 = 3,
  C2R_CODEC_JPEG = 4
} c2r_codec;
typedef enum c2r_pixels {
  C2R_PIXELS_RGB8 = 1,
  C2R_PIXELS_RGBA8 = 2,
  C2R_PIXELS_BGRA8 = 3
} c2r_pixels;
typedef enum c2r_rows { C2R_ROWS_TOP_FIRST = 1, C2R_ROWS_BOTTOM_FIRST = 2 } c2r_rows;
typedef enum c2r_depth_format {
  C2R_DEPTH_F16 = 1,
  C2R_DEPTH_F32 = 2,
  C2R_DEPTH_U16 = 3
} c2r_depth_format;
typedef enum c2r_reset {
  C2R_RESET_NONE = -1,
  C2R_RESET_UNSPECIFIED = 0,
  C2R_RESET_CUT = 1,
  C2R_RESET_TELEPORT = 2,
  C2R_RESET_LEVEL_LOAD = 3,
  C2R_RESET_RESIZE = 4,
  C2R_RESET_RESUME = 5,
  C2R_RESET_USER = 6
} c2r_reset;
enum { C2R_SIDE_DEPTH = 1, C2R_SIDE_MOTION = 2, C2R_SIDE_CAMERA = 4 };

typedef enum c2r_outcome {
  C2R_OUTCOME_RENDERED = 1,
  C2R_OUTCOME_DROPPED = 2,
  C2R_OUTCOME_FAILED = 3
} c2r_outcome;
typedef enum c2r_drop {
  C2R_DROP_UNSPECIFIED = 0,
  C2R_DROP_SUPERSEDED = 1,
  C2R_DROP_RESET = 2,
  C2R_DROP_ENDED = 3,
  C2R_DROP_UNSENT = 4, /* replaced by a newer frame before it was sent */
  C2R_DROP_LOST = 5,   /* sent, and the connection broke before an answer */
  C2R_DROP_REASONS = 6
} c2r_drop;

/* A TLS layer of the engine, instead of the built-in OpenSSL. All functions run on the
 * I/O thread and return at once. One connection: begin, then bytes from the network go in through
 * put, bytes for the network come out of get, and plain bytes pass through read and write. */
typedef struct c2r_tls {
  uint32_t struct_size;
  uint32_t reserved;
  void *user;
  /* A new connection to `server_name` that offers exactly the protocol `alpn`; NULL when it cannot
   * be made, with the reason in `error`. TLS 1.2 or newer; certificate and name must be verified. */
  void *(*begin)(void *user, const char *server_name, const char *alpn, char *error,
                 uint32_t error_bytes);
  /* 1: established with that protocol; 0: wants more bytes; below 0: failed. */
  int32_t (*handshake)(void *connection);
  /* Takes `size` bytes from the network; below 0: failed. */
  int32_t (*put)(void *connection, const uint8_t *data, uint32_t size);
  /* Bytes for the network, at most `size`; how many. */
  int32_t (*get)(void *connection, uint8_t *data, uint32_t size);
  /* Plain bytes that came, at most `size`; how many, 0: none yet, below 0: closed or failed. */
  int32_t (*read)(void *connection, uint8_t *data, uint32_t size);
  /* Plain bytes to send; how many were taken, below 0: failed. */
  int32_t (*write)(void *connection, const uint8_t *data, uint32_t size);
  /* Why it failed; valid until the next call. */
  const char *(*why)(void *connection);
  void (*end)(void *connection);
} c2r_tls;

/* Where the server is, and the timeouts. Times in seconds; 0 takes the default. */
typedef struct c2r_options {
  uint32_t struct_size;
  int32_t tls;             /* 1: encrypt */
  const char *address;     /* host:port, [IPv6]:port or unix:path; default 127.0.0.1:50051 */
  const char *root_ca;     /* PEM; NULL: the system's authorities */
  const char *client_cert; /* PEM, with client_key; NULL: none */
  const char *client_key;  /* PEM, not encrypted */
  const char *server_name; /* name in the server's certificate where it is not the host; or NULL */
  const char *token;       /* sent with every call, over TLS or to this machine only; or NULL */
  const c2r_tls *own_tls;  /* NULL: OpenSSL. The table is copied, `user` must outlive the client */
  double connect_s;        /* to reach the server and agree on HTTP/2; default 10 */
  double silence_s;        /* without any message from the server; default 15 */
  double stuck_s;          /* with the whole window unanswered; default 30 */
  double feedback_s;       /* between reports to the server; default 1 */
  double retry_first_s;    /* before the first new attempt; doubles; default 0.25 */
  double retry_most_s;     /* between attempts at most; default 8 */
  double give_up_s;        /* without a session: fails; 0: never */
  double keepalive_s;      /* between HTTP/2 pings when nothing comes; default 20 */
  double keepalive_answer_s; /* for the answer to a ping; default 10 */
} c2r_options;

/* The session that a client wants. */
typedef struct c2r_session {
  uint32_t struct_size;
  uint32_t width, height; /* pixels, of frames and pictures */
  int32_t has_seed;       /* 0: the server chooses one */
  double fps;             /* rate of capture, above 0 */
  const char *prompt;     /* NULL: empty */
  const char *negative_prompt;
  double strength; /* [0, 2] */
  uint64_t seed;
  uint32_t side_channels;     /* C2R_SIDE_* that frames may carry */
  uint32_t coarse_codecs[4];  /* c2r_codec, best first, 0 ends; all 0: the best for this link */
  uint32_t picture_codecs[4]; /* the same for pictures */
  uint32_t picture_pixels;    /* c2r_pixels of what c2r_poll gives; default RGB8 */
  uint32_t picture_rows;      /* c2r_rows of the same; default top first */
  uint32_t reserved;
  const char *client; /* name and version for the server's log; at most 128 bytes; or NULL */
} c2r_session;

/* A rectangle of values in the engine's memory; read during the call only. */
typedef struct c2r_image {
  const void *data; /* NULL: absent */
  uint32_t width, height;
  uint32_t row_bytes; /* from one row to the next; 0: packed */
  uint32_t rows;      /* c2r_rows; 0: top first */
} c2r_image;

/* See Camera in renderer.proto: row-major matrices for row vectors, D3D clip space, no jitter. */
typedef struct c2r_camera {
  double position[3];
  double right[3];
  double up[3];
  double forward[3];
  double fov_y; /* radians */
  double view_to_clip[16];
  double clip_to_prev_clip[16];
} c2r_camera;

typedef struct c2r_frame {
  uint32_t struct_size;
  int32_t reset;            /* c2r_reset; default none */
  uint64_t frame_id;        /* above the last one's */
  uint64_t capture_time_us; /* 0: now, of c2r_now_us */
  double frame_delta_ms;
  c2r_image colour;      /* 8-bit sRGB; of the session's size */
  uint32_t pixels;       /* c2r_pixels of colour; default RGB8 */
  uint32_t depth_format; /* c2r_depth_format; default F32 */
  c2r_image depth;
  double meters_per_unit; /* stored value x this = metres; default 1; not with device_depth */
  int32_t device_depth;   /* 1: depth is a depth buffer, and the five below turn it into metres */
  int32_t depth_inverted, depth_infinite;
  int32_t reserved;
  double near_plane, far_plane, view_space_to_meters;
  c2r_image motion;         /* two IEEE halves per pixel: to the frame before, in pixels */
  const c2r_camera *camera; /* or NULL */
  double jitter_x, jitter_y; /* colour pixels, [-0.5, 0.5] */
  double pre_exposure;       /* above 0; default 1 */
} c2r_frame;

/* The server's milliseconds for one frame. */
typedef struct c2r_stages {
  double decode_ms, queue_ms, dino_ms, adapter_ms, denoise_ms, vae_ms, encode_ms, kv_write_ms,
      total_ms;
} c2r_stages;

/* The outcome of one frame. */
typedef struct c2r_result {
  uint32_t struct_size;
  int32_t outcome; /* c2r_outcome */
  uint64_t frame_id;
  uint64_t capture_time_us;
  int32_t drop;  /* c2r_drop, when dropped */
  int32_t fault; /* ErrorCode of renderer.proto, when failed */
  uint64_t chunk_index;
  const uint8_t *picture; /* when rendered; valid until the next c2r_poll or c2r_destroy */
  uint32_t width, height, row_bytes;
  uint32_t pixels; /* c2r_pixels */
  c2r_stages stages;
  double latency_ms;             /* from capture to the decoded picture */
  char message[C2R_TEXT_BYTES];  /* when failed: what to change */
  char field[C2R_FIELD_BYTES];   /* path inside CoarseFrame */
} c2r_result;

/* Changes what is rendered, from the next chunk on; kept through reconnections. */
typedef struct c2r_control {
  uint32_t struct_size;
  uint32_t blend_chunks;       /* [1, 64]; 0: the server's choice */
  const char *prompt;          /* NULL: unchanged */
  const char *negative_prompt; /* NULL: unchanged */
  int32_t has_strength, has_seed;
  double strength;
  uint64_t seed;
} c2r_control;

typedef enum c2r_event_kind {
  C2R_EVENT_STATUS = 1,  /* the state or its text changed */
  C2R_EVENT_WARNING = 2, /* the server warns; `number` is the WarningCode */
  C2R_EVENT_ACK = 3      /* a control change took effect or was refused */
} c2r_event_kind;

typedef struct c2r_event {
  uint32_t struct_size;
  int32_t kind;        /* c2r_event_kind */
  int32_t number;      /* c2r_state, WarningCode, or for a refused change its ErrorCode */
  int32_t refused;     /* of an acknowledgement */
  uint64_t control_id; /* of an acknowledgement */
  uint64_t frame_id;   /* first frame that a change took effect on */
  uint32_t blend_chunks;
  uint32_t reserved;
  char text[C2R_TEXT_BYTES];
} c2r_event;

typedef struct c2r_status {
  uint32_t struct_size;
  int32_t state;       /* c2r_state */
  int32_t error;       /* c2r_code of what broke or failed; 0 otherwise */
  int32_t grpc_status; /* of the same, -1 when none came */
  uint32_t queue_position;
  uint32_t reserved;
  double retry_in_s; /* until the next attempt, as it was when the state began */
  char text[C2R_TEXT_BYTES];
} c2r_status;

/* What the session was granted. */
typedef struct c2r_accepted {
  uint32_t struct_size;
  uint32_t width, height;
  uint32_t chunk_latents, first_chunk_frames, chunk_frames, max_in_flight_chunks;
  uint32_t coarse_codec, plane_codec, picture_codec;
  uint32_t side_channels;
  int32_t resumed;
  double fps, strength, resume_grace_s;
  uint64_t seed;
  uint32_t max_message_bytes;
  uint32_t reserved;
  char session_id[C2R_NAME_BYTES];
  char server[C2R_NAME_BYTES];
} c2r_accepted;

/* Since the client began. submitted = rendered + failed + all dropped + those still open. */
typedef struct c2r_stats {
  uint32_t struct_size;
  uint32_t connections;
  uint64_t submitted, sent, rendered, failed, stray;
  uint64_t dropped[C2R_DROP_REASONS]; /* by c2r_drop */
  uint64_t bytes_sent, bytes_received;
  double fps_in, fps_out, fps_steady;
  double latency_p50_ms, latency_p90_ms, latency_p99_ms;
  double decode_ms;
  double first_picture_ms; /* from the first frame to the first picture; below 0: none yet */
  c2r_stages stages;       /* medians */
} c2r_stats;

typedef struct c2r_client c2r_client;

typedef enum c2r_struct {
  C2R_STRUCT_OPTIONS = 1,
  C2R_STRUCT_SESSION = 2,
  C2R_STRUCT_FRAME = 3,
  C2R_STRUCT_RESULT = 4,
  C2R_STRUCT_CONTROL = 5,
  C2R_STRUCT_EVENT = 6,
  C2R_STRUCT_STATUS = 7,
  C2R_STRUCT_ACCEPTED = 8,
  C2R_STRUCT_STATS = 9,
  C2R_STRUCT_IMAGE = 10,
  C2R_STRUCT_CAMERA = 11,
  C2R_STRUCT_STAGES = 12,
  C2R_STRUCT_TLS = 13
} c2r_struct;

#ifdef __cplusplus
}
#endif

#endif
