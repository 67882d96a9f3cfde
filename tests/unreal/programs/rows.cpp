// Row pitch, halves, and the colours of the buffer view.
#include "C2RRows.h"
#include "expect.h"

#include <vector>

int main()
{
	EXPECT(C2R::RowBytes(896, 832, 4) == 3584);
	EXPECT(C2R::RowBytes(0, 832, 4) == 3328);
	EXPECT(C2R::RowBytes(100, 832, 4) == 3328);  // a pitch below a row would be read past

	constexpr uint32_t Width = 5, Height = 3, Pitch = 8;
	std::vector<uint8_t> From(Pitch * 4 * Height, 0xEE), To(Width * 4 * Height, 0);
	for (uint32_t Row = 0; Row < Height; ++Row)
		for (uint32_t Byte = 0; Byte < Width * 4; ++Byte)
			From[Row * Pitch * 4 + Byte] = static_cast<uint8_t>(Row * 20 + Byte);
	C2R::CopyRows(From.data(), C2R::RowBytes(Pitch, Width, 4), To.data(), Width * 4, Height);
	for (uint32_t Byte = 0; Byte < To.size(); ++Byte) EXPECT(To[Byte] == Byte);

	EXPECT(C2R::FloatOfHalf(0x3C00) == 1.0f && C2R::FloatOfHalf(0xC500) == -5.0f);
	EXPECT(C2R::FloatOfHalf(0x0001) == std::ldexp(1.0f, -24) && C2R::FloatOfHalf(0x7BFF) == 65504.0f);
	EXPECT(std::isnan(C2R::FloatOfHalf(0x7E00)) && std::isinf(C2R::FloatOfHalf(0xFC00)));
	EXPECT(C2R::FloatOfHalf(0x8000) == 0.0f);

	EXPECT(C2R::ColourOfDepth(1.0f).G == 255 && C2R::ColourOfDepth(INFINITY).G == 0);
	EXPECT(C2R::ColourOfDepth(3.0f).G > C2R::ColourOfDepth(30.0f).G);
	EXPECT(C2R::ColourOfMotion(NAN, 0, 16).B == 255 && C2R::ColourOfMotion(0, 0, 16).R == 128);
	EXPECT(C2R::ColourOfMotion(16, -16, 16).R == 255 && C2R::ColourOfMotion(16, -16, 16).G == 0);
	return Done(Checks());
}
