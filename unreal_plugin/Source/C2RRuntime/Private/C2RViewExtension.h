// The plugin's hook in the engine's frame: right after tone mapping.
#pragma once

#include "C2RCapture.h"
#include "C2RPresenter.h"
#include "Misc/EngineVersionComparison.h"
#include "SceneViewExtension.h"

#include <atomic>

class UGameInstance;

/**
 * Owned by the subsystem; the engine shares ownership while a frame that uses it is rendered. Works on
 * the first view of its own game's world; editor views, scene captures and other games are left alone.
 */
class FC2RViewExtension : public FSceneViewExtensionBase
{
public:
	FC2RViewExtension(const FAutoRegister& AutoRegister, UGameInstance* InGame, const FC2RSessionPtr& Session, const FC2RPreviewRef& Preview, const FC2RCaptureTerms& Terms);

	virtual void SetupViewFamily(FSceneViewFamily& InViewFamily) override {}
	virtual void SetupView(FSceneViewFamily& InViewFamily, FSceneView& InView) override {}
	virtual void BeginRenderViewFamily(FSceneViewFamily& InViewFamily) override {}

#if UE_VERSION_OLDER_THAN(5, 5, 0)
	virtual void SubscribeToPostProcessingPass(EPostProcessingPass Pass, FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled) override;
#else
	virtual void SubscribeToPostProcessingPass(EPostProcessingPass Pass, const FSceneView& InView, FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled) override;
#endif

	/** Game thread. An event for the next captured frame; of several, the weightiest counts. */
	void Tell(C2R::EEvent Event);

	/** Game thread. Whether frames are captured and pictures shown. */
	void SetActive(bool bInActive) { bActive = bInActive; }

	/** Game thread. The view's colours are not sRGB, so nothing is captured. */
	bool IsHdr() const { return bHdr; }

	/** Game thread. Frames that were not captured because all readbacks were under way. */
	uint64 GetPassedOver() const { return PassedOver; }

	/** Render thread. */
	FC2RPresenter Presenter;

	/** Render thread: releases GPU resources and the session. */
	void Release_RenderThread();

protected:
	virtual bool IsActiveThisFrame_Internal(const FSceneViewExtensionContext& Context) const override;

private:
	void Subscribe(EPostProcessingPass Pass, FAfterPassCallbackDelegateArray& InOutPassCallbacks, bool bIsPassEnabled);
	FScreenPassTexture AfterTonemap_RenderThread(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs);
	bool IsOurs(const FSceneView& View);

	TWeakObjectPtr<UGameInstance> Game;
	TUniquePtr<FC2RCapture> Capture;
	std::atomic<int32> PendingEvent{0};
	std::atomic<bool> bActive{true};
	std::atomic<bool> bHdr{false};
	std::atomic<uint64> PassedOver{0};
	uint32 LastFrameNumber = 0;
};
