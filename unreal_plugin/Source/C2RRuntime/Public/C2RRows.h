// Rows of read-back textures, and their colours in the buffer view: plain C++, no engine headers.
#pragma once

#include <cmath>
#include <cstddef>
#include <cstdint>
#include <cstring>

namespace C2R
{

/** Bytes from one row to the next of a texture whose pitch is told in pixels; never below a row. */
inline uint32_t RowBytes(int32_t PitchInPixels, uint32_t Width, uint32_t PixelBytes)
{
	const uint32_t Pitch = PitchInPixels > 0 ? static_cast<uint32_t>(PitchInPixels) : Width;
	return (Pitch < Width ? Width : Pitch) * PixelBytes;
}

/** Rows of `Bytes` each, `From` with gaps between them, `To` without. */
inline void CopyRows(const void* From, size_t FromStep, void* To, size_t Bytes, uint32_t Rows)
{
	for (uint32_t Row = 0; Row < Rows; ++Row)
		std::memcpy(static_cast<uint8_t*>(To) + Row * Bytes,
		            static_cast<const uint8_t*>(From) + Row * FromStep, Bytes);
}

/** IEEE half to float. */
inline float FloatOfHalf(uint16_t Half)
{
	const int Exponent = (Half >> 10) & 31, Mantissa = Half & 1023;
	const float Sign = (Half & 0x8000) != 0 ? -1.0f : 1.0f;
	if (Exponent == 31) return Mantissa != 0 ? NAN : Sign * INFINITY;
	if (Exponent == 0) return Sign * std::ldexp(static_cast<float>(Mantissa), -24);
	return Sign * std::ldexp(static_cast<float>(Mantissa + 1024), Exponent - 25);
}

struct FBgra
{
	uint8_t B = 0;
	uint8_t G = 0;
	uint8_t R = 0;
	uint8_t A = 255;
};

inline uint8_t ByteOf(float Value)
{
	return static_cast<uint8_t>(Value > 0.0f ? (Value < 1.0f ? Value * 255.0f + 0.5f : 255.0f) : 0.0f);
}

/** Near is bright; a metre is white, no surface black. */
inline FBgra ColourOfDepth(float Metres)
{
	const uint8_t Grey = std::isfinite(Metres) && Metres > 0.0f ? ByteOf(1.0f / (0.5f + 0.5f * Metres)) : 0;
	return {Grey, Grey, Grey, 255};
}

/** Grey: no motion; red: along x; green: along y; blue: unknown. Full colour at `Most` pixels. */
inline FBgra ColourOfMotion(float X, float Y, float Most)
{
	if (!std::isfinite(X) || !std::isfinite(Y)) return {255, 0, 0, 255};
	return {128, ByteOf(0.5f + 0.5f * Y / Most), ByteOf(0.5f + 0.5f * X / Most), 255};
}

}  // namespace C2R
