// The slots of a ring of readbacks: plain C++, no engine headers. One thread.
#pragma once

#include <cstdint>

namespace C2R
{

/**
 * Copies to the CPU take a few frames, so several are under way, each in a slot. Slots are claimed and
 * released in the same order, so frames never overtake each other. Drop rule: when all slots are under
 * way, the new frame is dropped; waiting would stall the render thread.
 */
template <int32_t Size>
class TReadbackRing
{
	static_assert(Size > 1, "a ring of one would copy every other frame at best");

public:
	/** The slot for a new copy; -1: all are under way. */
	int32_t Claim()
	{
		if (Count == Size)
		{
			++PassedOver;
			return -1;
		}
		const int32_t Slot = (First + Count) % Size;
		++Count;
		return Slot;
	}

	/** The slot that was claimed first; -1: none is under way. */
	int32_t Oldest() const { return Count == 0 ? -1 : First; }

	/** The oldest slot is free again. */
	void Release()
	{
		if (Count == 0) return;
		First = (First + 1) % Size;
		--Count;
	}

	int32_t UnderWay() const { return Count; }
	uint64_t GetPassedOver() const { return PassedOver; }

private:
	int32_t First = 0;
	int32_t Count = 0;
	uint64_t PassedOver = 0;
};

}  // namespace C2R
