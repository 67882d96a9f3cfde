/* C2R's client for game engines: a flat C interface, for C, C++, C# and Python.
 *
 * Life of a client: c2r_create, c2r_open, then per engine frame c2r_submit and c2r_poll, at the end
 * c2r_close (polite, returns at once) and c2r_destroy (joins the one thread, within two seconds).
 *
 * Promises
 *   - No call waits for the network. c2r_submit copies the images and returns; they are packed on
 *     the client's own I/O thread.
 *   - No call calls back into the engine, except the functions of its c2r_tls, on the I/O thread.
 *   - Every frame that c2r_submit took has exactly one outcome, given out in frame order by
 *     c2r_poll: a picture (an output frame), a drop with its reason, or a fault.
 *   - After a break the client reconnects, with growing pauses, and resumes the session.
 *
 * Threads: c2r_submit, c2r_set_control, c2r_report_shown, c2r_get_status, c2r_get_accepted,
 * c2r_get_stats, c2r_has_room and c2r_close may be used from any thread. c2r_poll has one caller at
 * a time, and so has c2r_poll_event. No other call on the same client may overlap c2r_create,
 * c2r_open or c2r_destroy.
 *
 * Ownership: what the caller's pointers point to is read during the call only, c2r_tls.user excepted.
 * c2r_result.picture belongs to the client and is valid until the next c2r_poll or c2r_destroy; all
 * else is copied into the caller's structures. Structures and codes: c2r_types.h. */
#ifndef C2R_CLIENT_H
#define C2R_CLIENT_H

#include "c2r_types.h"

#if defined(C2R_STATIC)
#define C2R_API
#elif defined(_WIN32) && defined(C2R_BUILDING)
#define C2R_API __declspec(dllexport)
#elif defined(_WIN32)
#define C2R_API __declspec(dllimport)
#else
#define C2R_API __attribute__((visibility("default")))
#endif

#ifdef __cplusplus
extern "C" {
#endif

/* C2R_ABI_VERSION of the library; refuse to go on when it is another. */
C2R_API uint32_t c2r_abi_version(void);
/* sizeof, in the library, of a c2r_struct; 0 for another number. */
C2R_API uint32_t c2r_struct_size(int32_t which);
/* Name, version and what is built in, for example "c2r_client 0.1.0 openssl zstd lz4 jpeg". */
C2R_API const char *c2r_version_text(void);
/* Whether this build can encode and decode a c2r_codec. */
C2R_API int32_t c2r_has_codec(int32_t codec);
/* A word for a c2r_code, a c2r_state. */
C2R_API const char *c2r_code_text(int32_t code);
C2R_API const char *c2r_state_text(int32_t state);
/* What was wrong with this thread's last failed call. */
C2R_API const char *c2r_last_error(void);
/* Microseconds of the clock that capture times are measured with. */
C2R_API uint64_t c2r_now_us(void);

C2R_API void c2r_init_options(c2r_options *options);
C2R_API void c2r_init_session(c2r_session *session);
C2R_API void c2r_init_frame(c2r_frame *frame);
C2R_API void c2r_init_control(c2r_control *control);

/* A client that does nothing yet. */
C2R_API int32_t c2r_create(const c2r_options *options, c2r_client **client);
/* Starts to connect; returns at once. Once per client. */
C2R_API int32_t c2r_open(c2r_client *client, const c2r_session *session);
/* Queues a frame: microseconds, plus copying its images. */
C2R_API int32_t c2r_submit(c2r_client *client, const c2r_frame *frame);
/* The next outcome in frame order: 1, or 0 when there is none now. */
C2R_API int32_t c2r_poll(c2r_client *client, c2r_result *result);
/* The next event: 1, or 0 when there is none now. At most 256 wait; then the oldest is dropped. */
C2R_API int32_t c2r_poll_event(c2r_client *client, c2r_event *event);
/* `control_id` (may be NULL) is that of the coming C2R_EVENT_ACK. */
C2R_API int32_t c2r_set_control(c2r_client *client, const c2r_control *control,
                                uint64_t *control_id);
/* Reports which picture is on the screen and how many milliseconds of pictures wait behind it. */
C2R_API int32_t c2r_report_shown(c2r_client *client, uint64_t frame_id, uint64_t capture_time_us,
                                 double buffer_ms);
C2R_API int32_t c2r_get_status(c2r_client *client, c2r_status *status);
/* 1, or 0 while there is no session. */
C2R_API int32_t c2r_get_accepted(c2r_client *client, c2r_accepted *accepted);
C2R_API int32_t c2r_get_stats(c2r_client *client, c2r_stats *stats);
/* 1: a frame submitted now would be sent without replacing another. */
C2R_API int32_t c2r_has_room(c2r_client *client);
/* Ends the session: waiting frames are sent and rendered first, unless `discard`. Returns at once; the
 * state becomes CLOSED (or stays FAILED) when the last outcome is ready, after `timeout_s` at
 * the latest. Closing twice is no error. */
C2R_API int32_t c2r_close(c2r_client *client, int32_t discard, double timeout_s);
/* Joins the thread and frees everything; at most two seconds, usually none. NULL is no error. */
C2R_API void c2r_destroy(c2r_client *client);

#ifdef __cplusplus
}
#endif

#endif
