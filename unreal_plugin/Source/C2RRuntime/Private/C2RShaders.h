// The global shaders of Shaders/C2RCapture.usf and Shaders/C2RPresent.usf.
#pragma once

#include "GlobalShader.h"
#include "SceneView.h"
#include "ShaderParameterStruct.h"

/** Pixels per side of a thread group. */
constexpr int32 C2RGroupSize = 8;

class FC2RColourCS : public FGlobalShader
{
public:
	DECLARE_GLOBAL_SHADER(FC2RColourCS);
	SHADER_USE_PARAMETER_STRUCT(FC2RColourCS, FGlobalShader);

	BEGIN_SHADER_PARAMETER_STRUCT(FParameters, )
		SHADER_PARAMETER(FUintVector2, OutputSize)
		SHADER_PARAMETER(FVector4f, SourceRect)
		SHADER_PARAMETER(uint32, bSourceIsLinear)
		SHADER_PARAMETER_RDG_TEXTURE(Texture2D, ColourTexture)
		SHADER_PARAMETER_SAMPLER(SamplerState, ColourSampler)
		SHADER_PARAMETER_RDG_TEXTURE_UAV(RWTexture2D<float4>, ColourOutput)
	END_SHADER_PARAMETER_STRUCT()

	static bool ShouldCompilePermutation(const FGlobalShaderPermutationParameters& Parameters);
};

class FC2RGeometryCS : public FGlobalShader
{
public:
	DECLARE_GLOBAL_SHADER(FC2RGeometryCS);
	SHADER_USE_PARAMETER_STRUCT(FC2RGeometryCS, FGlobalShader);

	BEGIN_SHADER_PARAMETER_STRUCT(FParameters, )
		SHADER_PARAMETER_STRUCT_REF(FViewUniformShaderParameters, View)
		SHADER_PARAMETER(FUintVector2, OutputSize)
		SHADER_PARAMETER(FVector4f, DepthProjection)
		SHADER_PARAMETER(float, MetresPerUnit)
		SHADER_PARAMETER(FVector2f, JitterPlace)
		SHADER_PARAMETER(FMatrix44f, ToPrevClip)
		SHADER_PARAMETER(float, VelocityScale)
		SHADER_PARAMETER_RDG_TEXTURE(Texture2D, DepthTexture)
		SHADER_PARAMETER_RDG_TEXTURE(Texture2D, VelocityTexture)
		SHADER_PARAMETER_RDG_TEXTURE_UAV(RWTexture2D<float>, DepthOutput)
		SHADER_PARAMETER_RDG_TEXTURE_UAV(RWTexture2D<float2>, MotionOutput)
	END_SHADER_PARAMETER_STRUCT()

	static bool ShouldCompilePermutation(const FGlobalShaderPermutationParameters& Parameters);
};

class FC2RPresentPS : public FGlobalShader
{
public:
	DECLARE_GLOBAL_SHADER(FC2RPresentPS);
	SHADER_USE_PARAMETER_STRUCT(FC2RPresentPS, FGlobalShader);

	BEGIN_SHADER_PARAMETER_STRUCT(FParameters, )
		SHADER_PARAMETER(FVector4f, OutputRect)
		SHADER_PARAMETER(FVector4f, SourceRect)
		SHADER_PARAMETER(uint32, bSourceIsLinear)
		SHADER_PARAMETER(uint32, bOutputIsLinear)
		SHADER_PARAMETER_RDG_TEXTURE(Texture2D, SourceTexture)
		SHADER_PARAMETER_SAMPLER(SamplerState, SourceSampler)
		RENDER_TARGET_BINDING_SLOTS()
	END_SHADER_PARAMETER_STRUCT()

	static bool ShouldCompilePermutation(const FGlobalShaderPermutationParameters& Parameters);
};
