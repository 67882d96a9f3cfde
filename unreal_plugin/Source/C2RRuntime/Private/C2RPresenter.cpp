#include "C2RPresenter.h"

#include "C2RShaders.h"
#include "Misc/EngineVersionComparison.h"
#include "PixelShaderUtils.h"
#include "PostProcess/PostProcessMaterialInputs.h"
#include "RenderGraphBuilder.h"
#include "RenderGraphUtils.h"
#include "SceneView.h"

namespace
{
FVector4f PartOf(const FIntRect& Rect, FIntPoint Extent)
{
	return FVector4f(static_cast<float>(Rect.Min.X) / Extent.X, static_cast<float>(Rect.Min.Y) / Extent.Y,
		static_cast<float>(Rect.Width()) / Extent.X, static_cast<float>(Rect.Height()) / Extent.Y);
}

uint32 IsSrgb(FRDGTextureRef Texture)
{
	return EnumHasAnyFlags(Texture->Desc.Flags, ETextureCreateFlags::SRGB) ? 1u : 0u;
}

void Draw(FRDGBuilder& GraphBuilder, const FScreenPassTexture& Source, const FScreenPassRenderTarget& Output)
{
	const FIntRect Rect = Output.ViewRect;
	FC2RPresentPS::FParameters* Parameters = GraphBuilder.AllocParameters<FC2RPresentPS::FParameters>();
	Parameters->OutputRect = FVector4f(static_cast<float>(Rect.Min.X), static_cast<float>(Rect.Min.Y), 1.0f / Rect.Width(), 1.0f / Rect.Height());
	Parameters->SourceRect = PartOf(Source.ViewRect, Source.Texture->Desc.Extent);
	Parameters->bSourceIsLinear = IsSrgb(Source.Texture);
	Parameters->bOutputIsLinear = IsSrgb(Output.Texture);
	Parameters->SourceTexture = Source.Texture;
	Parameters->SourceSampler = TStaticSamplerState<SF_Bilinear, AM_Clamp, AM_Clamp>::GetRHI();
	Parameters->RenderTargets[0] = Output.GetRenderTargetBinding();
	const TShaderMapRef<FC2RPresentPS> Shader(GetGlobalShaderMap(GMaxRHIFeatureLevel));
	FPixelShaderUtils::AddFullscreenPass(GraphBuilder, GetGlobalShaderMap(GMaxRHIFeatureLevel), RDG_EVENT_NAME("C2R.Present"), Shader, Parameters, Rect);
}
}

FScreenPassTexture C2RColourOf(FRDGBuilder& GraphBuilder, const FPostProcessMaterialInputs& Inputs)
{
#if UE_VERSION_OLDER_THAN(5, 4, 0)
	return Inputs.GetInput(EPostProcessMaterialInput::SceneColor);
#else
	return FScreenPassTexture::CopyFromSlice(GraphBuilder, Inputs.GetInput(EPostProcessMaterialInput::SceneColor));
#endif
}

FScreenPassTexture C2RUntouched(FRDGBuilder& GraphBuilder, const FPostProcessMaterialInputs& Inputs, const FScreenPassTexture& Coarse)
{
	if (!Inputs.OverrideOutput.IsValid() || !Coarse.IsValid())
	{
		return Coarse;
	}
	Draw(GraphBuilder, Coarse, Inputs.OverrideOutput);
	return FScreenPassTexture(Inputs.OverrideOutput);
}

FScreenPassTexture FC2RPresenter::Show(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs, const FScreenPassTexture& Coarse) const
{
	if (!Picture.IsValid())
	{
		return C2RUntouched(GraphBuilder, Inputs, Coarse);
	}
	FScreenPassRenderTarget Output = Inputs.OverrideOutput;
	if (!Output.IsValid())
	{
		Output = FScreenPassRenderTarget::CreateFromInput(GraphBuilder, Coarse, View.GetOverwriteLoadAction(), TEXT("C2R.Output"));
	}
	Draw(GraphBuilder, FScreenPassTexture(RegisterExternalTexture(GraphBuilder, Picture, TEXT("C2R.Picture"))), Output);
	return FScreenPassTexture(Output);
}
