#include "C2RBufferPaint.h"

#include "C2RRows.h"

#include <cstring>

namespace
{
/** Pixels of motion that are painted in full colour. */
constexpr float FullMotion = 16.0f;

void Put(TArray<uint8>& Pixels, int32 Index, C2R::FBgra Value)
{
	std::memcpy(Pixels.GetData() + Index * 4, &Value, 4);
}
}

TArray<uint8> C2RPaintColour(const FC2RBuffers& Buffers)
{
	TArray<uint8> Pixels = Buffers.Colour;
	for (int32 Index = 0; Index + 3 < Pixels.Num(); Index += 4)
	{
		Swap(Pixels[Index], Pixels[Index + 2]);
		Pixels[Index + 3] = 255;
	}
	return Pixels;
}

TArray<uint8> C2RPaintDepth(const FC2RBuffers& Buffers)
{
	TArray<uint8> Pixels;
	Pixels.SetNumUninitialized(Buffers.Depth.Num() * 4);
	for (int32 Index = 0; Index < Buffers.Depth.Num(); ++Index)
	{
		Put(Pixels, Index, C2R::ColourOfDepth(Buffers.Depth[Index]));
	}
	return Pixels;
}

TArray<uint8> C2RPaintMotion(const FC2RBuffers& Buffers)
{
	TArray<uint8> Pixels;
	Pixels.SetNumUninitialized(Buffers.Motion.Num() * 2);
	for (int32 Index = 0; Index < Buffers.Motion.Num() / 2; ++Index)
	{
		const float X = C2R::FloatOfHalf(Buffers.Motion[Index * 2]);
		const float Y = C2R::FloatOfHalf(Buffers.Motion[Index * 2 + 1]);
		Put(Pixels, Index, C2R::ColourOfMotion(X, Y, FullMotion));
	}
	return Pixels;
}
