// Reads requests, one per line: a name and numbers. Prints the results of the Unreal plugin's conversions.
#include "C2RCanonical.h"

#include <cstdio>
#include <functional>
#include <iostream>
#include <map>
#include <sstream>
#include <string>
#include <vector>

using FNumbers = std::vector<double>;

static C2R::FMatrix4 MatrixAt(const FNumbers& In, size_t First)
{
	C2R::FMatrix4 Matrix;
	for (size_t Index = 0; Index < 16; ++Index) Matrix.At[Index / 4][Index % 4] = In[First + Index];
	return Matrix;
}

// World to view, view to clip, origin: 35 numbers.
static C2R::FView ViewAt(const FNumbers& In, size_t First)
{
	C2R::FView View{MatrixAt(In, First), MatrixAt(In, First + 16), {0, 0, 0}};
	for (size_t Axis = 0; Axis < 3; ++Axis) View.Origin[Axis] = In[First + 32 + Axis];
	return View;
}

static FNumbers Origin(const FNumbers& In)
{
	const auto Width = static_cast<uint32_t>(In[0]), Height = static_cast<uint32_t>(In[1]);
	FNumbers Out;
	for (uint32_t Row = 0; Row < Height; ++Row)
		for (uint32_t Byte = 0; Byte < Width * 4; ++Byte)
			Out.push_back(In[2 + C2R::SourceRow(Row, Height, true) * Width * 4 + Byte]);
	return Out;
}

static FNumbers Colour(const FNumbers& In)
{
	FNumbers Out;
	for (double Light : In) Out.push_back(C2R::ToByte(C2R::LinearToSrgb(Light)));
	return Out;
}

// Near, far, scale, inverted, infinite, then stored values.
static FNumbers Depth(const FNumbers& In)
{
	const C2R::FDepthProjection Projection = C2R::DepthOfPlanes(In[0], In[1], In[3] != 0, In[4] != 0);
	FNumbers Out;
	for (size_t Index = 5; Index < In.size(); ++Index)
		Out.push_back(C2R::UnitsFromDevice(In[Index], Projection) * In[2]);
	return Out;
}

static FNumbers Motion(const FNumbers& In)
{
	const C2R::FPair Pixels = C2R::MotionFromVelocity({In[2], In[3]}, In[0], In[1]);
	return {Pixels.X, Pixels.Y};
}

static void Append(FNumbers& Out, const C2R::FMatrix4& Matrix)
{
	for (int Index = 0; Index < 16; ++Index) Out.push_back(Matrix.At[Index / 4][Index % 4]);
}

static FNumbers Camera(const FNumbers& In)
{
	const C2R::FView Now = ViewAt(In, 0);
	const bool bReset = In.size() == 35;
	const C2R::FView Before = bReset ? Now : ViewAt(In, 35);
	C2R::FCamera Camera;
	if (!C2R::CameraOf(Now, bReset ? nullptr : &Before, Camera)) return {};
	FNumbers Out(Camera.Position, Camera.Position + 3);
	Out.insert(Out.end(), Camera.Right, Camera.Right + 3);
	Out.insert(Out.end(), Camera.Up, Camera.Up + 3);
	Out.insert(Out.end(), Camera.Forward, Camera.Forward + 3);
	Out.push_back(Camera.FovY);
	Append(Out, Camera.ViewToClip);
	Append(Out, Camera.ClipToPrevClip);
	return Out;
}

// Both views, width, height, column, row, stored depth.
static FNumbers Static(const FNumbers& In)
{
	const C2R::FView Now = ViewAt(In, 0), Before = ViewAt(In, 35);
	C2R::FCamera Camera;
	if (!C2R::CameraOf(Now, &Before, Camera)) return {};
	const C2R::FMatrix4 ToPrevClip = C2R::DeviceToPrevClip(Camera, C2R::IsReversed(Now.ViewToClip));
	const C2R::FPair Pixels = C2R::MotionOfStatic(In[72], In[73], In[74], ToPrevClip, In[70], In[71]);
	const double Metres = C2R::UnitsFromDevice(In[74], C2R::DepthOfProjection(Now.ViewToClip)) * C2R::MetresPerUnit;
	return {Pixels.X, Pixels.Y, Metres};
}

static FNumbers Reset(const FNumbers& In)
{
	return {static_cast<double>(C2R::ResetOf(static_cast<C2R::EEvent>(static_cast<int>(In[0]))))};
}

int main()
{
	const std::map<std::string, std::function<FNumbers(const FNumbers&)>> Answers = {
		{"origin", Origin}, {"colour", Colour}, {"depth", Depth}, {"motion", Motion},
		{"camera", Camera}, {"static", Static}, {"reset", Reset}};
	std::string Line;
	while (std::getline(std::cin, Line))
	{
		std::istringstream Words(Line);
		std::string Question;
		Words >> Question;
		FNumbers In;
		for (double Number = 0; Words >> Number;) In.push_back(Number);
		for (double Number : Answers.at(Question)(In)) std::printf("%.17g ", Number);
		std::printf("\n");
	}
	return 0;
}
