#include "C2RPicture.h"

#include "Engine/Texture2D.h"
#include "RHICommandList.h"
#include "RenderingThread.h"
#include "TextureResource.h"

UTexture2D* C2RMakePictureTexture(FIntPoint Size)
{
	UTexture2D* Texture = UTexture2D::CreateTransient(Size.X, Size.Y, PF_B8G8R8A8);
	Texture->SRGB = true;
	Texture->UpdateResource();
	return Texture;
}

void C2RUploadPicture(UTexture2D* Texture, const FC2RPictureRef& Picture, const TSharedPtr<FC2RViewExtension, ESPMode::ThreadSafe>& Extension)
{
	// The resource is released by a later render command than this one, so it is alive when this runs.
	FTextureResource* Resource = Texture->GetResource();
	const FIntPoint Size(Texture->GetSizeX(), Texture->GetSizeY());
	if (Resource == nullptr || Picture->Pixels.Num() != Size.X * Size.Y * 4)
	{
		return;
	}
	ENQUEUE_RENDER_COMMAND(C2RUpload)([Resource, Size, Picture, Extension](FRHICommandListImmediate& RHICmdList)
	{
		if (!Resource->TextureRHI.IsValid())
		{
			return;
		}
		const FUpdateTextureRegion2D Region(0, 0, 0, 0, static_cast<uint32>(Size.X), static_cast<uint32>(Size.Y));
		RHICmdList.UpdateTexture2D(Resource->TextureRHI, 0, Region, static_cast<uint32>(Size.X) * 4, Picture->Pixels.GetData());
		Extension->Presenter.SetPicture(Resource->TextureRHI);
	});
}

void C2RShowCoarse(const TSharedPtr<FC2RViewExtension, ESPMode::ThreadSafe>& Extension)
{
	ENQUEUE_RENDER_COMMAND(C2RShowCoarse)([Extension](FRHICommandListImmediate&)
	{
		Extension->Presenter.SetPicture(FTextureRHIRef());
	});
}
