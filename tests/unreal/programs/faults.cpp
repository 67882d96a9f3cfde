// The subsystem's tick without an engine: the plugin's pacing, fallback and retry around the native
// client. Prints what a player would see whenever that changes; ends when its input ends.
//
//   faults ADDRESS TOKEN WIDTH HEIGHT SILENCE_S RETRY_S
#include "C2RCaptureClock.h"
#include "C2RFallback.h"
#include "C2RPlayback.h"
#include "c2r_client.h"

#include <poll.h>

#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <string>
#include <thread>
#include <vector>

namespace
{
constexpr double FramesPerSecond = 60.0;
constexpr double TickSeconds = 0.004;

struct FGame
{
	std::string Address, Token;
	uint32_t Width, Height;
	double Silence;
	C2R::FRetry Retry;
	C2R::FFallback Fallback{0.3};
	C2R::TPlayback<uint64_t> Playback{48};
	C2R::FCaptureClock Clock{FramesPerSecond};
	c2r_client* Client = nullptr;
	uint64_t LastFrameId = 0;
	std::string Said = std::string();

	void Begin()
	{
		c2r_destroy(Client);
		LastFrameId = 0;
		Playback.Clear();
		c2r_options Options;
		c2r_init_options(&Options);
		Options.address = Address.c_str();
		Options.token = Token.empty() ? nullptr : Token.c_str();
		Options.silence_s = Silence;
		Options.retry_first_s = 0.05;
		Options.retry_most_s = 0.2;
		c2r_session Session;
		c2r_init_session(&Session);
		Session.width = Width;
		Session.height = Height;
		Session.fps = FramesPerSecond;
		Session.picture_pixels = C2R_PIXELS_BGRA8;
		if (c2r_create(&Options, &Client) < 0 || c2r_open(Client, &Session) < 0)
		{
			std::fprintf(stderr, "%s\n", c2r_last_error());
			std::exit(2);
		}
	}

	c2r_status Status() const
	{
		c2r_status Current = {};
		Current.struct_size = sizeof Current;
		c2r_get_status(Client, &Current);
		return Current;
	}

	void Capture(uint64_t NowUs)
	{
		if (!Clock.IsDue(NowUs)) return;
		const std::vector<uint8_t> Pixels(size_t{Width} * Height * 4, 128);
		c2r_frame Frame;
		c2r_init_frame(&Frame);
		Frame.frame_id = ++LastFrameId;
		Frame.colour = {Pixels.data(), Width, Height, 0, C2R_ROWS_TOP_FIRST};
		Frame.pixels = C2R_PIXELS_RGBA8;
		c2r_submit(Client, &Frame);
	}

	void Poll()
	{
		c2r_result Result = {};
		Result.struct_size = sizeof Result;
		int32_t Most = C2R::PicturesAtOnce(FramesPerSecond, TickSeconds);
		while (Most > 0 && c2r_poll(Client, &Result) == 1)
		{
			if (Result.outcome != C2R_OUTCOME_RENDERED) continue;
			Playback.Add(Result.capture_time_us, Result.frame_id);
			--Most;
		}
	}

	void Tick()
	{
		const uint64_t NowUs = c2r_now_us();
		if (Retry.IsDue(NowUs, Status().state == C2R_STATE_FAILED)) Begin();
		Capture(NowUs);
		Poll();
		uint64_t Due = 0;
		if (Playback.Take(NowUs, Due)) Fallback.Shown(NowUs);
		Fallback.IsDue(NowUs, true);
		const c2r_status Now = Status();
		const std::string Seen = std::string(c2r_state_text(Now.state)) + "|" + (Fallback.IsShowing() ? "picture" : "coarse") + "|" + Now.text;
		if (Seen != Said) std::printf("%s\n", Seen.c_str());
		std::fflush(stdout);
		Said = Seen;
	}
};

bool InputIsOver()
{
	pollfd Input = {0, POLLIN, 0};
	return poll(&Input, 1, 0) > 0;
}
}  // namespace

int main(int, char** Words)
{
	FGame Game{Words[1], Words[2], static_cast<uint32_t>(std::atoi(Words[3])), static_cast<uint32_t>(std::atoi(Words[4])), std::atof(Words[5]), C2R::FRetry(std::atof(Words[6]))};
	Game.Begin();
	while (!InputIsOver())
	{
		Game.Tick();
		std::this_thread::sleep_for(std::chrono::duration<double>(TickSeconds));
	}
	c2r_destroy(Game.Client);
	return 0;
}
