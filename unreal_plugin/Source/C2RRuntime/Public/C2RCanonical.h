// The engine's values in the conventions of proto/c2r/wire/v1/renderer.proto: plain C++, no engine
// headers. Shaders/C2RCanonical.ush is the same for the GPU; tests compare both with
// tests/conformance/conventions.json and with each other.
#pragma once

#include <cmath>
#include <cstdint>
#include <cstring>
#include <limits>

namespace C2R
{

/** An Unreal unit in metres. */
constexpr double MetresPerUnit = 0.01;

struct FPair
{
	double X = 0.0;
	double Y = 0.0;
};

/** 4x4, row after row, for row vectors: Clip = View x Matrix. */
struct FMatrix4
{
	double At[4][4] = {{1, 0, 0, 0}, {0, 1, 0, 0}, {0, 0, 1, 0}, {0, 0, 0, 1}};
};

/** Linear light to sRGB, [0, 1] (IEC 61966-2-1); clamps. */
inline double LinearToSrgb(double Light)
{
	if (!(Light > 0.0)) return 0.0;
	if (Light >= 1.0) return 1.0;
	return Light <= 0.0031308 ? 12.92 * Light : 1.055 * std::pow(Light, 1.0 / 2.4) - 0.055;
}

inline uint8_t ToByte(double Value)
{
	const double Clamped = Value > 0.0 ? (Value < 1.0 ? Value : 1.0) : 0.0;
	return static_cast<uint8_t>(Clamped * 255.0 + 0.5);
}

/** Which row of the source becomes `Row` of an image whose row 0 is the top. */
inline uint32_t SourceRow(uint32_t Row, uint32_t Height, bool bBottomFirst)
{
	return bBottomFirst ? Height - 1 - Row : Row;
}

/** The part of a projection that makes depth: Device = (Z * ZZ + WZ) / (Z * ZW + WW). */
struct FDepthProjection
{
	double ZZ = 0.0;
	double WZ = 0.0;
	double ZW = 1.0;
	double WW = 0.0;
};

inline FDepthProjection DepthOfProjection(const FMatrix4& ViewToClip)
{
	return {ViewToClip.At[2][2], ViewToClip.At[3][2], ViewToClip.At[2][3], ViewToClip.At[3][3]};
}

/** Of a perspective with these planes; the far one does not count when it lies at infinity. */
inline FDepthProjection DepthOfPlanes(double NearPlane, double FarPlane, bool bInverted, bool bInfinite)
{
	const double Share = bInfinite ? 0.0 : NearPlane / (FarPlane - NearPlane);
	return bInverted ? FDepthProjection{-Share, NearPlane * (1.0 + Share), 1.0, 0.0}
	                 : FDepthProjection{1.0 + Share, -NearPlane * (1.0 + Share), 1.0, 0.0};
}

/** Reversed z: 1 at the near plane, 0 where there is no surface. */
inline bool IsReversed(const FDepthProjection& Projection) { return Projection.WZ > 0.0; }

/** A depth buffer's value in view-space units along the camera's forward axis; infinity: no surface. */
inline double UnitsFromDevice(double Device, const FDepthProjection& Projection)
{
	const double Cleared = IsReversed(Projection) ? 0.0 : 1.0;
	const double Divisor = Device * Projection.ZW - Projection.ZZ;
	if (Device == Cleared || Divisor == 0.0) return std::numeric_limits<double>::infinity();
	return (Projection.WZ - Device * Projection.WW) / Divisor;
}

/**
 * Velocity in ndc (present - previous, y up) to pixels of a Width x Height grid (previous - present, y down).
 * NaN beyond what a half holds: the wire refuses infinity.
 */
inline FPair MotionFromVelocity(FPair Velocity, double Width, double Height)
{
	constexpr double Most = 65504.0;
	const FPair Motion = {-0.5 * Width * Velocity.X, 0.5 * Height * Velocity.Y};
	const bool bHeld = std::fabs(Motion.X) <= Most && std::fabs(Motion.Y) <= Most;
	return bHeld ? Motion : FPair{std::nan(""), std::nan("")};
}

/** Ndc of the middle of a pixel. */
inline FPair NdcOfPixel(double Column, double Row, double Width, double Height)
{
	return {(Column + 0.5) / Width * 2.0 - 1.0, 1.0 - (Row + 0.5) / Height * 2.0};
}

/** The jitter of FViewMatrices (ndc) in pixels to the right and down. */
inline FPair JitterPixels(FPair Ndc, double Width, double Height)
{
	return {0.5 * Width * Ndc.X, -0.5 * Height * Ndc.Y};
}

inline FMatrix4 Product(const FMatrix4& Left, const FMatrix4& Right)
{
	FMatrix4 Result;
	for (int Row = 0; Row < 4; ++Row)
		for (int Column = 0; Column < 4; ++Column)
		{
			double Sum = 0.0;
			for (int Inner = 0; Inner < 4; ++Inner) Sum += Left.At[Row][Inner] * Right.At[Inner][Column];
			Result.At[Row][Column] = Sum;
		}
	return Result;
}

/** Gauss-Jordan with row pivots; false when there is no inverse. */
inline bool Inverse(FMatrix4 From, FMatrix4& Result)
{
	Result = FMatrix4();
	for (int Pivot = 0; Pivot < 4; ++Pivot)
	{
		int Best = Pivot;
		for (int Row = Pivot + 1; Row < 4; ++Row)
			if (std::fabs(From.At[Row][Pivot]) > std::fabs(From.At[Best][Pivot])) Best = Row;
		const double Value = From.At[Best][Pivot];
		if (!std::isfinite(Value) || Value == 0.0) return false;
		for (int Column = 0; Column < 4; ++Column)
		{
			const double A = From.At[Best][Column], B = Result.At[Best][Column];
			From.At[Best][Column] = From.At[Pivot][Column];
			Result.At[Best][Column] = Result.At[Pivot][Column];
			From.At[Pivot][Column] = A / Value;
			Result.At[Pivot][Column] = B / Value;
		}
		for (int Row = 0; Row < 4; ++Row)
		{
			const double Factor = Row == Pivot ? 0.0 : From.At[Row][Pivot];
			for (int Column = 0; Column < 4; ++Column)
			{
				From.At[Row][Column] -= Factor * From.At[Pivot][Column];
				Result.At[Row][Column] -= Factor * Result.At[Pivot][Column];
			}
		}
	}
	return true;
}

/** Clip space x this: z that is 1 at the near plane becomes 0 there, and the other way round. Its own inverse. */
inline FMatrix4 TurnedDepth()
{
	FMatrix4 Turn;
	// z' = w - z.
	Turn.At[2][2] = -1.0;
	Turn.At[3][2] = 1.0;
	return Turn;
}

inline bool IsReversed(const FMatrix4& ViewToClip) { return IsReversed(DepthOfProjection(ViewToClip)); }

inline bool IsPerspective(const FMatrix4& ViewToClip)
{
	return ViewToClip.At[2][3] == 1.0 && ViewToClip.At[3][3] == 0.0 && ViewToClip.At[1][1] > 0.0;
}

/** The engine's projection (units, reversed z) as the wire has it: metres, z from 0 at the near plane. */
inline FMatrix4 WireProjection(FMatrix4 ViewToClip)
{
	for (double& Value : ViewToClip.At[3]) Value *= MetresPerUnit;
	return IsReversed(ViewToClip) ? Product(ViewToClip, TurnedDepth()) : ViewToClip;
}

/** As the engine has it: FViewMatrices' view and projection without jitter, and the view's origin, in units. */
struct FView
{
	FMatrix4 WorldToView;
	FMatrix4 ViewToClip;
	double Origin[3] = {0, 0, 0};
};

/** As the wire has it, metres. */
struct FCamera
{
	double Position[3] = {0, 0, 0};
	double Right[3] = {0, 1, 0};
	double Up[3] = {0, 0, 1};
	double Forward[3] = {1, 0, 0};
	double FovY = 0.0;
	FMatrix4 ViewToClip;
	FMatrix4 ClipToPrevClip;
};

/** World (metres) to the wire's clip space, with the world's origin moved to `Origin` (units). */
inline FMatrix4 WorldToWireClip(const FView& View, const double (&Origin)[3])
{
	FMatrix4 ToView = View.WorldToView;
	for (int Axis = 0; Axis < 3; ++Axis)
	{
		// Relative to a point near the camera: far from the world's origin the products below would lose
		// the digits in which two frames differ.
		double Moved = 0.0;
		for (int Inner = 0; Inner < 3; ++Inner)
			Moved += (Origin[Inner] - View.Origin[Inner]) * View.WorldToView.At[Inner][Axis];
		ToView.At[3][Axis] = Moved * MetresPerUnit;
	}
	return Product(ToView, WireProjection(View.ViewToClip));
}

/** `Before` is the last captured frame's view; nullptr after a reset. False: no perspective, no camera. */
inline bool CameraOf(const FView& Now, const FView* Before, FCamera& Camera)
{
	Camera = FCamera();
	if (!IsPerspective(Now.ViewToClip)) return false;
	for (int Axis = 0; Axis < 3; ++Axis)
	{
		Camera.Position[Axis] = Now.Origin[Axis] * MetresPerUnit;
		Camera.Right[Axis] = Now.WorldToView.At[Axis][0];
		Camera.Up[Axis] = Now.WorldToView.At[Axis][1];
		Camera.Forward[Axis] = Now.WorldToView.At[Axis][2];
	}
	Camera.FovY = 2.0 * std::atan2(1.0, Now.ViewToClip.At[1][1]);
	Camera.ViewToClip = WireProjection(Now.ViewToClip);
	if (Before == nullptr || !IsPerspective(Before->ViewToClip)) return true;
	FMatrix4 ToWorld;
	if (!Inverse(WorldToWireClip(Now, Now.Origin), ToWorld)) return false;
	Camera.ClipToPrevClip = Product(ToWorld, WorldToWireClip(*Before, Now.Origin));
	return true;
}

/** ClipToPrevClip for device depths as the engine's buffer holds them, for the shader and below. */
inline FMatrix4 DeviceToPrevClip(const FCamera& Camera, bool bReversed)
{
	return bReversed ? Product(TurnedDepth(), Camera.ClipToPrevClip) : Camera.ClipToPrevClip;
}

/** Motion of a point that stands still, pixels; NaN when it was behind the camera. */
inline FPair MotionOfStatic(double Column, double Row, double Device, const FMatrix4& ToPrevClip, double Width, double Height)
{
	const FPair Ndc = NdcOfPixel(Column, Row, Width, Height);
	const double Point[4] = {Ndc.X, Ndc.Y, Device, 1.0};
	double Then[4] = {0, 0, 0, 0};
	for (int Inner = 0; Inner < 4; ++Inner)
		for (int Axis = 0; Axis < 4; ++Axis) Then[Axis] += Point[Inner] * ToPrevClip.At[Inner][Axis];
	if (!(Then[3] > 0.0)) return {std::nan(""), std::nan("")};
	return MotionFromVelocity({Ndc.X - Then[0] / Then[3], Ndc.Y - Then[1] / Then[3]}, Width, Height);
}

/** What happened in the game; the order is by weight: of several, the last one counts. */
enum class EEvent : int32_t
{
	None,
	Asked,
	CameraMovedFar,
	CameraCut,
	PlayResumed,
	SizeChanged,
	LevelLoaded,
	FirstFrame,
};

/** The wire's number of the reset that an event asks for (ResetReason; -1: none). */
inline int32_t ResetOf(EEvent Event)
{
	constexpr int32_t Reasons[] = {-1, 6, 2, 1, 5, 4, 3, 3};
	return Reasons[static_cast<int32_t>(Event)];
}

}  // namespace C2R
