// The ring of readbacks compared with a queue, and the capture clock.
#include "C2RCaptureClock.h"
#include "C2RReadbackRing.h"
#include "expect.h"

#include <deque>
#include <random>

static void RingIsAQueue()
{
	std::mt19937 Random(5);
	C2R::TReadbackRing<4> Ring;
	std::deque<int> Queue;
	uint64_t PassedOver = 0;
	for (int Step = 0; Step < 5000; ++Step)
	{
		if (Random() % 5 < 3)
		{
			const int Slot = Ring.Claim();
			if (Queue.size() == 4)
			{
				EXPECT(Slot == -1);
				++PassedOver;
				continue;
			}
			EXPECT(Slot >= 0 && Slot < 4);
			for (int Other : Queue) EXPECT(Slot != Other);
			Queue.push_back(Slot);
		}
		else
		{
			EXPECT(Ring.Oldest() == (Queue.empty() ? -1 : Queue.front()));
			Ring.Release();
			if (!Queue.empty()) Queue.pop_front();
		}
		EXPECT(Ring.UnderWay() == static_cast<int>(Queue.size()));
	}
	EXPECT(PassedOver > 0 && Ring.GetPassedOver() == PassedOver);
}

static int CapturesOf(double EngineFps, double Fps, uint64_t HitchUs)
{
	C2R::FCaptureClock Clock(Fps);
	int Count = 0;
	uint64_t Start = 1000000;
	for (int Frame = 0; Frame < static_cast<int>(10 * EngineFps); ++Frame)
	{
		if (Frame == static_cast<int>(5 * EngineFps)) Start += HitchUs;
		Count += Clock.IsDue(Start + static_cast<uint64_t>(Frame * 1e6 / EngineFps));
	}
	return Count;
}

int main()
{
	RingIsAQueue();
	// Ten seconds: the rate is kept when the engine's is higher.
	EXPECT(CapturesOf(60, 16, 0) >= 159 && CapturesOf(60, 16, 0) <= 161);
	EXPECT(CapturesOf(144, 24, 0) >= 239 && CapturesOf(144, 24, 0) <= 241);
	EXPECT(CapturesOf(10, 16, 0) == 100);
	// A hitch of three seconds is not made up for by a burst.
	EXPECT(CapturesOf(60, 16, 3000000) <= 162);
	return Done(Checks());
}
