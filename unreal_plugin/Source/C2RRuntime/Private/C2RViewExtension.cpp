#include "C2RViewExtension.h"

#include "Engine/GameInstance.h"
#include "Engine/World.h"
#include "PostProcess/PostProcessMaterialInputs.h"
#include "SceneView.h"
#include "UnrealClient.h"

FC2RViewExtension::FC2RViewExtension(const FAutoRegister& AutoRegister, UGameInstance* InGame, const FC2RSessionPtr& Session, const FC2RPreviewRef& Preview, const FC2RCaptureTerms& Terms)
	: FSceneViewExtensionBase(AutoRegister)
	, Game(InGame)
	, Capture(MakeUnique<FC2RCapture>(Session, Preview, Terms))
{
}

#if UE_VERSION_OLDER_THAN(5, 5, 0)
void FC2RViewExtension::SubscribeToPostProcessingPass(EPostProcessingPass Pass, FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled)
{
	Subscribe(Pass, InOutPassCallbacks, bIsPassEnabled);
}
#else
void FC2RViewExtension::SubscribeToPostProcessingPass(EPostProcessingPass Pass, const FSceneView& InView, FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled)
{
	if (!InView.bIsSceneCapture && !InView.bIsReflectionCapture)
	{
		Subscribe(Pass, InOutPassCallbacks, bIsPassEnabled);
	}
}
#endif

void FC2RViewExtension::Subscribe(EPostProcessingPass Pass, FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled)
{
	if (Pass == EPostProcessingPass::Tonemap && bIsPassEnabled)
	{
		InOutPassCallbacks.Add(FAfterPassCallbackDelegate::CreateRaw(this, &FC2RViewExtension::AfterTonemap_RenderThread));
	}
}

bool FC2RViewExtension::IsActiveThisFrame_Internal(const FSceneViewExtensionContext& Context) const
{
	const UWorld* World = Context.GetWorld();
	return bActive && World != nullptr && Game.IsValid() && World->GetGameInstance() == Game.Get();
}

void FC2RViewExtension::Tell(C2R::EEvent Event)
{
	const int32 Number = static_cast<int32>(Event);
	int32 Seen = PendingEvent.load();
	while (Seen < Number && !PendingEvent.compare_exchange_weak(Seen, Number))
	{
	}
}

bool FC2RViewExtension::IsOurs(const FSceneView& View)
{
	if (View.bIsSceneCapture || View.bIsReflectionCapture || View.Family->FrameNumber == LastFrameNumber)
	{
		return false;
	}
	LastFrameNumber = View.Family->FrameNumber;
	return true;
}

FScreenPassTexture FC2RViewExtension::AfterTonemap_RenderThread(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs)
{
	check(IsInRenderingThread());
	const FScreenPassTexture Coarse = C2RColourOf(GraphBuilder, Inputs);
	if (!Coarse.IsValid() || !Capture.IsValid() || !IsOurs(View))
	{
		return C2RUntouched(GraphBuilder, Inputs, Coarse);
	}
	Capture->Collect();
	bHdr = View.Family->RenderTarget != nullptr && View.Family->RenderTarget->GetSceneHDREnabled();
	if (!bHdr)
	{
		Capture->Record(GraphBuilder, View, Inputs, Coarse, static_cast<C2R::EEvent>(PendingEvent.exchange(0)));
	}
	PassedOver = Capture->GetPassedOver();
	return Presenter.Show(GraphBuilder, View, Inputs, Coarse);
}

void FC2RViewExtension::Release_RenderThread()
{
	check(IsInRenderingThread());
	Capture.Reset();
	Presenter.SetPicture(FTextureRHIRef());
}
