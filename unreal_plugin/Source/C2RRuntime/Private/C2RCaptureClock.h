// When to capture: plain C++, no engine headers. One thread.
#pragma once

#include <cstdint>

namespace C2R
{

/** Picks engine frames at a rate; after a hitch it continues at that rate, without a burst. */
class FCaptureClock
{
public:
	explicit FCaptureClock(double FramesPerSecond = 16.0) : IntervalUs(1e6 / FramesPerSecond) {}

	/** Whether the engine's frame at this time is to be captured; each frame asks once. */
	bool IsDue(uint64_t NowUs)
	{
		const double Now = static_cast<double>(NowUs);
		if (bStarted && Now < NextUs) return false;
		const bool bLate = !bStarted || Now - NextUs > IntervalUs;
		NextUs = (bLate ? Now : NextUs) + IntervalUs;
		bStarted = true;
		return true;
	}

private:
	double IntervalUs;
	double NextUs = 0.0;
	bool bStarted = false;
};

}  // namespace C2R
