// Coarse frames from the GPU into the session. Everything here runs on the render thread.
#pragma once

#include "C2RCanonical.h"
#include "C2RCaptureClock.h"
#include "C2RPreview.h"
#include "C2RReadbackRing.h"
#include "C2RSession.h"
#include "RHIGPUReadback.h"
#include "RenderGraphFwd.h"
#include "ScreenPass.h"

class FSceneView;
struct FPostProcessMaterialInputs;

/** Capture settings, from the game thread. */
struct FC2RCaptureTerms
{
	double FramesPerSecond = 16.0;
	double TeleportMetres = 15.0;
};

/**
 * Converts the view with compute shaders, copies it to the CPU through a ring of readbacks, and hands
 * finished copies to the session in the order of capture. Never waits for the GPU, which would stall
 * the render thread: a frame for which no readback is free is dropped and counted.
 */
class FC2RCapture
{
public:
	FC2RCapture(const FC2RSessionPtr& InSession, const FC2RPreviewRef& InPreview, const FC2RCaptureTerms& InTerms);

	/** Submits the copies that are ready. Once per frame, before Record. */
	void Collect();

	/** Captures the view when a frame is due. `Event`: what happened in the game since the last call. */
	void Record(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs, const FScreenPassTexture& Coarse, C2R::EEvent Event);

	uint64 GetPassedOver() const { return Ring.GetPassedOver(); }

private:
	struct FSlot
	{
		TUniquePtr<FRHIGPUTextureReadback> Colour;
		TUniquePtr<FRHIGPUTextureReadback> Depth;
		TUniquePtr<FRHIGPUTextureReadback> Motion;
		bool bGeometry = false;
		bool bCamera = false;
		C2R::FCamera Camera;
		uint64 FrameId = 0;
		uint64 CaptureUs = 0;
		double DeltaMs = 0.0;
		int32 Reset = -1;
	};
	struct FReading;

	bool IsReady(const FSlot& Slot) const;
	void Submit(FSlot& Slot);
	void Describe(FSlot& Slot, const FSceneView& View, C2R::EEvent Event);
	C2R::EEvent EventOf(const C2R::FView& Now, C2R::EEvent Event) const;
	void RecordColour(FRDGBuilder& GraphBuilder, const FScreenPassTexture& Coarse, FSlot& Slot);
	void RecordGeometry(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs, FSlot& Slot);
	void KeepPreview(const FSlot& Slot, const FReading& Colour, const FReading& Depth, const FReading& Motion);

	static constexpr int32 Slots = 4;

	FC2RSessionPtr Session;
	FC2RPreviewRef Preview;
	FC2RCaptureTerms Terms;
	C2R::FCaptureClock Clock;
	C2R::TReadbackRing<Slots> Ring;
	FSlot SlotOf[Slots];
	C2R::FView Last;
	C2R::EEvent Pending = C2R::EEvent::FirstFrame;
	uint64 LastFrameId = 0;
	double LastSeconds = 0.0;
	double VelocityScale = 1.0;
};
