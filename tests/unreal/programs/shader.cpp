// Shaders/C2RCanonical.ush, compiled as C++, compared with C2RCanonical.h.
#include "C2RCanonical.h"
#include "expect.h"

#include <algorithm>
#include <random>

struct float2
{
	float x, y;
	float2(float X, float Y) : x(X), y(Y) {}
};
struct float4
{
	float x, y, z, w;
	float4(float X, float Y, float Z, float W) : x(X), y(Y), z(Z), w(W) {}
};
static float min(float A, float B) { return std::min(A, B); }
static float max(float A, float B) { return std::max(A, B); }
static float abs(float A) { return std::fabs(A); }
static float asfloat(uint32_t Bits)
{
	float Value;
	std::memcpy(&Value, &Bits, sizeof Value);
	return Value;
}
#include "C2RCanonical.ush"

static bool Near(double One, double Other, double Share)
{
	if (std::isnan(One) || std::isnan(Other)) return std::isnan(One) && std::isnan(Other);
	if (std::isinf(One) || std::isinf(Other)) return One == Other;
	return std::fabs(One - Other) <= Share * (1.0 + std::fabs(Other));
}

static float4 Shader(const C2R::FDepthProjection& From)
{
	return float4(static_cast<float>(From.ZZ), static_cast<float>(From.WZ), static_cast<float>(From.ZW), static_cast<float>(From.WW));
}

int main()
{
	std::mt19937 Random(11);
	std::uniform_real_distribution<float> Any(-0.2f, 1.2f);
	for (int Try = 0; Try < 2000; ++Try)
	{
		const float Light = Any(Random);
		EXPECT(Near(C2RLinearToSrgb(Light), C2R::LinearToSrgb(Light), 1e-5));
		const float Inside = std::clamp(Light, 0.0f, 1.0f);
		EXPECT(Near(C2RSrgbToLinear(C2RLinearToSrgb(Inside)), Inside, 1e-5));
		for (bool bInverted : {false, true})
			for (bool bInfinite : {false, true})
			{
				const C2R::FDepthProjection Projection = C2R::DepthOfPlanes(10.0, 5000.0, bInverted, bInfinite);
				const float Device = Try == 0 ? 0.0f : Try == 1 ? 1.0f : 0.05f + 0.9f * Inside;
				EXPECT(Near(C2RMetresFromDevice(Device, Shader(Projection), 0.01f), C2R::UnitsFromDevice(Device, Projection) * 0.01, 1e-3));
			}
		const float2 Ndc(Any(Random), Any(Random)), Size(832.0f, 480.0f);
		const float2 Moved = C2RMotionFromVelocity(Ndc, Size);
		const C2R::FPair Wanted = C2R::MotionFromVelocity({Ndc.x, Ndc.y}, 832.0, 480.0);
		EXPECT(Near(Moved.x, Wanted.X, 1e-5) && Near(Moved.y, Wanted.Y, 1e-5));
		const float2 Far = C2RMotionFromVelocity(float2(Ndc.x * 400.0f, 0.0f), Size);
		const C2R::FPair FarWanted = C2R::MotionFromVelocity({Ndc.x * 400.0, 0.0}, 832.0, 480.0);
		EXPECT(Near(Far.x, FarWanted.X, 1e-5) && std::isnan(Far.y) == (std::fabs(Ndc.x) > 65504.0 / 166400.0));
		const float2 Middle = C2RNdcOfPlace(float2((Try % 832 + 0.5f) / 832.0f, (Try % 480 + 0.5f) / 480.0f));
		const C2R::FPair Pixel = C2R::NdcOfPixel(Try % 832, Try % 480, 832.0, 480.0);
		EXPECT(Near(Middle.x, Pixel.X, 1e-5) && Near(Middle.y, Pixel.Y, 1e-5));
		const float W = Any(Random);
		C2R::FMatrix4 ToPrevClip;
		ToPrevClip.At[3][3] = W;
		const float2 Still = C2RMotionOfStatic(Middle, float4(Middle.x, Middle.y, 0.0f, W), Size);
		const C2R::FPair Then = C2R::MotionOfStatic(Try % 832, Try % 480, 0.0, ToPrevClip, 832.0, 480.0);
		EXPECT(Near(Still.x, Then.X, 1e-2) && Near(Still.y, Then.Y, 1e-2));
	}
	return Done(Checks());
}
