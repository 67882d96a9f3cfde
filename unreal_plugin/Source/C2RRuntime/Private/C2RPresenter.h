// Draws the picture over the view, after tone mapping and before HUD and widgets. Render thread.
#pragma once

#include "CoreMinimal.h"
#include "RHIFwd.h"
#include "RHIResources.h"
#include "RenderGraphFwd.h"
#include "ScreenPass.h"

class FSceneView;
struct FPostProcessMaterialInputs;

class FC2RPresenter
{
public:
	/** The texture that holds the picture to show; null: show the coarse frame. */
	void SetPicture(const FTextureRHIRef& InPicture) { Picture = InPicture; }

	/** The view's new colour: the picture, or the coarse frame while there is none. */
	FScreenPassTexture Show(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs, const FScreenPassTexture& Coarse) const;

private:
	FTextureRHIRef Picture;
};

/** The view's colour as one 2D texture; the engine gives it as a slice since 5.4. */
FScreenPassTexture C2RColourOf(FRDGBuilder& GraphBuilder, const FPostProcessMaterialInputs& Inputs);

/** The coarse frame, copied only where the engine asks for it in a given target. */
FScreenPassTexture C2RUntouched(FRDGBuilder& GraphBuilder, const FPostProcessMaterialInputs& Inputs, const FScreenPassTexture& Coarse);
