// Which picture to show when: plain C++, no engine headers. One thread.
#pragma once

#include <cstdint>
#include <deque>
#include <utility>

namespace C2R
{

/**
 * Pictures come in chunks and are shown at the rate at which their frames were captured. The delay
 * from capture to screen is that of the slowest picture so far. Drop rule: when more than `Most` wait,
 * the oldest are passed over and the delay is measured again.
 */
template <class TPicture>
class TPlayback
{
public:
	explicit TPlayback(int32_t InMost) : Most(InMost) {}

	void Add(uint64_t CaptureUs, TPicture Picture)
	{
		Waiting.emplace_back(CaptureUs, std::move(Picture));
		while (static_cast<int32_t>(Waiting.size()) > Most)
		{
			Waiting.pop_front();
			++PassedOver;
			bDelayKnown = false;
		}
	}

	/** Takes the newest picture that is due; false: none is, the shown one stays. */
	bool Take(uint64_t NowUs, TPicture& Picture)
	{
		if (Waiting.empty()) return false;
		// The delay grows only when the queue ran dry and the first picture of the next chunk is late.
		const uint64_t Age = NowUs > Waiting.front().first ? NowUs - Waiting.front().first : 0;
		if (!bDelayKnown || (bRanDry && Age > DelayUs)) DelayUs = Age;
		bDelayKnown = true;
		bRanDry = false;
		bool bTaken = false;
		while (!Waiting.empty() && Waiting.front().first + DelayUs <= NowUs)
		{
			if (bTaken) ++PassedOver;
			Picture = std::move(Waiting.front().second);
			Waiting.pop_front();
			bTaken = true;
		}
		bRanDry = Waiting.empty();
		return bTaken;
	}

	void Clear()
	{
		Waiting.clear();
		bDelayKnown = false;
	}

	/** Milliseconds of pictures that wait, for c2r_report_shown. */
	double BufferedMs() const
	{
		if (Waiting.size() < 2) return 0.0;
		return static_cast<double>(Waiting.back().first - Waiting.front().first) / 1000.0;
	}

	uint64_t GetPassedOver() const { return PassedOver; }
	uint64_t GetDelayUs() const { return DelayUs; }

private:
	std::deque<std::pair<uint64_t, TPicture>> Waiting;
	int32_t Most;
	uint64_t DelayUs = 0;
	uint64_t PassedOver = 0;
	bool bDelayKnown = false;
	bool bRanDry = true;
};

}  // namespace C2R
