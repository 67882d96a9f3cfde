// The last captured buffers, for the editor's buffer view.
#pragma once

#include "CoreMinimal.h"
#include "HAL/CriticalSection.h"
#include "Misc/ScopeLock.h"

#include <atomic>

/** Packed, of one frame; motion as pairs of halves. Empty arrays: the channel is not sent. */
struct FC2RBuffers
{
	FIntPoint Size = FIntPoint(0, 0);
	uint64 FrameId = 0;
	TArray<uint8> Colour;
	TArray<float> Depth;
	TArray<uint16> Motion;
};

/** Written by the render thread while the buffer view is open, read by the game thread. */
class FC2RPreview
{
public:
	void SetWanted(bool bInWanted) { bWanted = bInWanted; }
	bool IsWanted() const { return bWanted; }

	void Put(FC2RBuffers&& Buffers)
	{
		const FScopeLock Lock(&Guard);
		Last = MoveTemp(Buffers);
	}

	FC2RBuffers Get() const
	{
		const FScopeLock Lock(&Guard);
		return Last;
	}

private:
	mutable FCriticalSection Guard;
	FC2RBuffers Last;
	std::atomic<bool> bWanted{false};
};
using FC2RPreviewRef = TSharedRef<FC2RPreview, ESPMode::ThreadSafe>;
