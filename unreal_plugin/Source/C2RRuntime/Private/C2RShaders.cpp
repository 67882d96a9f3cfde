#include "C2RShaders.h"

#include "DataDrivenShaderPlatformInfo.h"

IMPLEMENT_GLOBAL_SHADER(FC2RColourCS, "/Plugin/C2R/C2RCapture.usf", "ColourCS", SF_Compute);
IMPLEMENT_GLOBAL_SHADER(FC2RGeometryCS, "/Plugin/C2R/C2RCapture.usf", "GeometryCS", SF_Compute);
IMPLEMENT_GLOBAL_SHADER(FC2RPresentPS, "/Plugin/C2R/C2RPresent.usf", "PresentPS", SF_Pixel);

namespace
{
// Scene depth and velocity are read from the deferred renderer's scene textures.
bool IsDeferred(const FGlobalShaderPermutationParameters& Parameters)
{
	return IsFeatureLevelSupported(Parameters.Platform, ERHIFeatureLevel::SM5);
}
}

bool FC2RColourCS::ShouldCompilePermutation(const FGlobalShaderPermutationParameters& Parameters)
{
	return IsDeferred(Parameters);
}

bool FC2RGeometryCS::ShouldCompilePermutation(const FGlobalShaderPermutationParameters& Parameters)
{
	return IsDeferred(Parameters);
}

bool FC2RPresentPS::ShouldCompilePermutation(const FGlobalShaderPermutationParameters& Parameters)
{
	return IsDeferred(Parameters);
}
