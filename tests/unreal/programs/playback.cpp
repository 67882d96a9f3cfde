// Pictures that come in chunks are shown one by one, at the rate of their capture.
#include "C2RPlayback.h"
#include "expect.h"

#include <vector>

constexpr uint64_t Frame = 62500;  // 16 per second

struct FShown
{
	uint64_t NowUs;
	int Picture;
};

// Chunks of twelve, each `Late` after its last capture; the screen asks 60 times per second.
static std::vector<FShown> Play(C2R::TPlayback<int>& Playback, int Chunks, uint64_t Late)
{
	std::vector<FShown> Shown;
	int Next = 0;
	for (uint64_t Now = 0; Now < (Chunks * 12 + 40) * Frame; Now += 16667)
	{
		while (Next < Chunks * 12 && ((Next / 12 + 1) * 12 - 1) * Frame + Late <= Now)
		{
			Playback.Add(Next * Frame, Next);
			++Next;
		}
		int Picture = -1;
		if (Playback.Take(Now, Picture)) Shown.push_back({Now, Picture});
	}
	return Shown;
}

int main()
{
	C2R::TPlayback<int> Playback(48);
	const std::vector<FShown> Shown = Play(Playback, 8, 300000);
	EXPECT(Shown.size() == 96);
	EXPECT(Playback.GetPassedOver() == 0);
	for (size_t At = 1; At < Shown.size(); ++At)
	{
		EXPECT(Shown[At].Picture == Shown[At - 1].Picture + 1);
		const uint64_t Gap = Shown[At].NowUs - Shown[At - 1].NowUs;
		EXPECT(Gap > Frame - 17000 && Gap < Frame + 17000);
	}
	EXPECT(Playback.GetDelayUs() >= 11 * Frame + 300000);

	// More than can wait: the oldest are dropped, the newest never.
	C2R::TPlayback<int> Small(4);
	for (int At = 0; At < 10; ++At) Small.Add(At * Frame, At);
	EXPECT(Small.GetPassedOver() == 6);
	EXPECT(Small.BufferedMs() > 187.0 && Small.BufferedMs() < 188.0);
	int Picture = -1;
	EXPECT(Small.Take(10 * Frame, Picture) && Picture == 6);
	EXPECT(!Small.Take(10 * Frame, Picture));
	EXPECT(Small.Take(11 * Frame, Picture) && Picture == 7);

	// A screen that slept shows the newest due picture only.
	EXPECT(Small.Take(60 * Frame, Picture) && Picture == 9);
	EXPECT(Small.GetPassedOver() == 7);
	Small.Add(100 * Frame, 100);
	Small.Clear();
	EXPECT(!Small.Take(200 * Frame, Picture));
	return Done(Checks());
}
