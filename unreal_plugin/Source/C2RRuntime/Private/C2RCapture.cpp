#include "C2RCapture.h"

#include "C2RLog.h"
#include "C2RRows.h"
#include "C2RShaders.h"
#include "PostProcess/PostProcessMaterialInputs.h"
#include "RenderGraphBuilder.h"
#include "RenderGraphUtils.h"
#include "SceneTexturesConfig.h"
#include "SceneView.h"

namespace
{
C2R::FMatrix4 MatrixOf(const FMatrix& From)
{
	C2R::FMatrix4 To;
	for (int32 Row = 0; Row < 4; ++Row)
	{
		for (int32 Column = 0; Column < 4; ++Column)
		{
			To.At[Row][Column] = From.M[Row][Column];
		}
	}
	return To;
}

FMatrix44f ShaderMatrixOf(const C2R::FMatrix4& From)
{
	FMatrix44f To;
	for (int32 Row = 0; Row < 4; ++Row)
	{
		for (int32 Column = 0; Column < 4; ++Column)
		{
			To.M[Row][Column] = static_cast<float>(From.At[Row][Column]);
		}
	}
	return To;
}

C2R::FView ViewOf(const FSceneView& View)
{
	C2R::FView To;
	To.WorldToView = MatrixOf(View.ViewMatrices.GetViewMatrix());
	To.ViewToClip = MatrixOf(View.ViewMatrices.GetProjectionNoAAMatrix());
	const FVector Origin = View.ViewMatrices.GetViewOrigin();
	To.Origin[0] = Origin.X;
	To.Origin[1] = Origin.Y;
	To.Origin[2] = Origin.Z;
	return To;
}

double MetresBetween(const C2R::FView& One, const C2R::FView& Other)
{
	double Sum = 0.0;
	for (int32 Axis = 0; Axis < 3; ++Axis)
	{
		Sum += FMath::Square((One.Origin[Axis] - Other.Origin[Axis]) * C2R::MetresPerUnit);
	}
	return FMath::Sqrt(Sum);
}

void CopyMatrix(const C2R::FMatrix4& From, double (&To)[16])
{
	for (int32 Index = 0; Index < 16; ++Index)
	{
		To[Index] = From.At[Index / 4][Index % 4];
	}
}

c2r_camera WireCameraOf(const C2R::FCamera& From)
{
	c2r_camera To = {};
	for (int32 Axis = 0; Axis < 3; ++Axis)
	{
		To.position[Axis] = From.Position[Axis];
		To.right[Axis] = From.Right[Axis];
		To.up[Axis] = From.Up[Axis];
		To.forward[Axis] = From.Forward[Axis];
	}
	To.fov_y = From.FovY;
	CopyMatrix(From.ViewToClip, To.view_to_clip);
	CopyMatrix(From.ClipToPrevClip, To.clip_to_prev_clip);
	return To;
}

void MakeReadback(TUniquePtr<FRHIGPUTextureReadback>& Readback, const TCHAR* Name)
{
	if (!Readback.IsValid())
	{
		Readback = MakeUnique<FRHIGPUTextureReadback>(FName(Name));
	}
}

FRDGTextureRef MakeOutput(FRDGBuilder& GraphBuilder, FIntPoint Size, EPixelFormat Format, const TCHAR* Name)
{
	const FRDGTextureDesc Desc = FRDGTextureDesc::Create2D(Size, Format, FClearValueBinding::None,
		ETextureCreateFlags::ShaderResource | ETextureCreateFlags::UAV);
	return GraphBuilder.CreateTexture(Desc, Name);
}
}

/** A readback that is mapped for as long as this lives. */
struct FC2RCapture::FReading
{
	FReading(FRHIGPUTextureReadback* InReadback, FIntPoint Size, uint32 PixelBytes) : Readback(InReadback)
	{
		if (Readback == nullptr)
		{
			return;
		}
		int32 PitchInPixels = 0;
		Image.data = Readback->Lock(PitchInPixels);
		Image.width = static_cast<uint32>(Size.X);
		Image.height = static_cast<uint32>(Size.Y);
		Image.row_bytes = C2R::RowBytes(PitchInPixels, Image.width, PixelBytes);
		Image.rows = C2R_ROWS_TOP_FIRST;
		Bytes = PixelBytes;
	}

	~FReading()
	{
		if (Readback != nullptr)
		{
			Readback->Unlock();
		}
	}

	FReading(const FReading&) = delete;
	FReading& operator=(const FReading&) = delete;

	template <class TValue>
	void CopyTo(TArray<TValue>& To) const
	{
		if (Image.data == nullptr)
		{
			return;
		}
		const size_t Row = size_t{Image.width} * Bytes;
		To.SetNumUninitialized(static_cast<int32>(Row * Image.height / sizeof(TValue)));
		C2R::CopyRows(Image.data, Image.row_bytes, To.GetData(), Row, Image.height);
	}

	FRHIGPUTextureReadback* Readback;
	uint32 Bytes = 0;
	c2r_image Image = {};
};

FC2RCapture::FC2RCapture(const FC2RSessionPtr& InSession, const FC2RPreviewRef& InPreview, const FC2RCaptureTerms& InTerms)
	: Session(InSession), Preview(InPreview), Terms(InTerms), Clock(InTerms.FramesPerSecond)
{
}

bool FC2RCapture::IsReady(const FSlot& Slot) const
{
	return Slot.Colour->IsReady() && (!Slot.bGeometry || (Slot.Depth->IsReady() && Slot.Motion->IsReady()));
}

void FC2RCapture::Collect()
{
	for (int32 Oldest = Ring.Oldest(); Oldest >= 0 && IsReady(SlotOf[Oldest]); Oldest = Ring.Oldest())
	{
		Submit(SlotOf[Oldest]);
		Ring.Release();
	}
}

void FC2RCapture::Submit(FSlot& Slot)
{
	const FReading Colour(Slot.Colour.Get(), Session->Size, 4);
	const FReading Depth(Slot.bGeometry ? Slot.Depth.Get() : nullptr, Session->Size, 4);
	const FReading Motion(Slot.bGeometry ? Slot.Motion.Get() : nullptr, Session->Size, 4);
	const c2r_camera Camera = WireCameraOf(Slot.Camera);
	c2r_frame Frame;
	c2r_init_frame(&Frame);
	Frame.frame_id = Slot.FrameId;
	Frame.capture_time_us = Slot.CaptureUs;
	Frame.frame_delta_ms = Slot.DeltaMs;
	Frame.reset = Slot.Reset;
	Frame.colour = Colour.Image;
	Frame.pixels = C2R_PIXELS_RGBA8;
	Frame.depth = Depth.Image;
	Frame.depth_format = C2R_DEPTH_F32;
	Frame.motion = Motion.Image;
	Frame.camera = Slot.bCamera ? &Camera : nullptr;
	FString Problem;
	if (!Session->Submit(Frame, Problem))
	{
		UE_LOG(LogC2R, Verbose, TEXT("frame %llu was not taken: %s"), Slot.FrameId, *Problem);
	}
	if (Preview->IsWanted())
	{
		KeepPreview(Slot, Colour, Depth, Motion);
	}
}

void FC2RCapture::KeepPreview(const FSlot& Slot, const FReading& Colour, const FReading& Depth, const FReading& Motion)
{
	FC2RBuffers Buffers;
	Buffers.Size = Session->Size;
	Buffers.FrameId = Slot.FrameId;
	Colour.CopyTo(Buffers.Colour);
	Depth.CopyTo(Buffers.Depth);
	Motion.CopyTo(Buffers.Motion);
	Preview->Put(MoveTemp(Buffers));
}

C2R::EEvent FC2RCapture::EventOf(const C2R::FView& Now, C2R::EEvent Event) const
{
	const bool bFar = LastFrameId > 0 && MetresBetween(Now, Last) > Terms.TeleportMetres;
	return bFar ? FMath::Max(Event, C2R::EEvent::CameraMovedFar) : Event;
}

void FC2RCapture::Describe(FSlot& Slot, const FSceneView& View, C2R::EEvent Event)
{
	const C2R::FView Now = ViewOf(View);
	const double Seconds = View.Family->Time.GetWorldTimeSeconds();
	const double Interval = FMath::Max(Seconds - LastSeconds, 0.0);
	const double EngineInterval = View.Family->Time.GetDeltaWorldTimeSeconds();
	Slot.Reset = C2R::ResetOf(EventOf(Now, Event));
	Slot.FrameId = ++LastFrameId;
	Slot.CaptureUs = c2r_now_us();
	Slot.DeltaMs = Slot.Reset >= 0 ? 0.0 : Interval * 1000.0;
	Slot.bCamera = C2R::CameraOf(Now, Slot.Reset >= 0 ? nullptr : &Last, Slot.Camera) && (Session->SideChannels & C2R_SIDE_CAMERA) != 0;
	VelocityScale = EngineInterval > 0.0 ? FMath::Clamp(Interval / EngineInterval, 0.0, 64.0) : 1.0;
	Last = Now;
	LastSeconds = Seconds;
}

void FC2RCapture::Record(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs, const FScreenPassTexture& Coarse, C2R::EEvent Event)
{
	// An event between two captured frames belongs to the next one that is captured.
	Pending = FMath::Max(Pending, Event);
	if (View.bCameraCut)
	{
		Pending = FMath::Max(Pending, C2R::EEvent::CameraCut);
	}
	if (!Clock.IsDue(c2r_now_us()))
	{
		return;
	}
	const int32 Index = Ring.Claim();
	if (Index < 0)
	{
		return;
	}
	FSlot& Slot = SlotOf[Index];
	Describe(Slot, View, Pending);
	Pending = C2R::EEvent::None;
	RecordColour(GraphBuilder, Coarse, Slot);
	Slot.bGeometry = (Session->SideChannels & (C2R_SIDE_DEPTH | C2R_SIDE_MOTION)) != 0 && Inputs.SceneTextures.SceneTextures.GetUniformBuffer() != nullptr;
	if (Slot.bGeometry)
	{
		RecordGeometry(GraphBuilder, View, Inputs, Slot);
	}
}

void FC2RCapture::RecordColour(FRDGBuilder& GraphBuilder, const FScreenPassTexture& Coarse, FSlot& Slot)
{
	const FIntPoint Extent = Coarse.Texture->Desc.Extent;
	const FRDGTextureRef Output = MakeOutput(GraphBuilder, Session->Size, PF_R8G8B8A8, TEXT("C2R.Colour"));
	FC2RColourCS::FParameters* Parameters = GraphBuilder.AllocParameters<FC2RColourCS::FParameters>();
	Parameters->OutputSize = FUintVector2(Session->Size.X, Session->Size.Y);
	Parameters->SourceRect = FVector4f(
		static_cast<float>(Coarse.ViewRect.Min.X) / Extent.X, static_cast<float>(Coarse.ViewRect.Min.Y) / Extent.Y,
		static_cast<float>(Coarse.ViewRect.Width()) / Extent.X, static_cast<float>(Coarse.ViewRect.Height()) / Extent.Y);
	Parameters->bSourceIsLinear = EnumHasAnyFlags(Coarse.Texture->Desc.Flags, ETextureCreateFlags::SRGB) ? 1u : 0u;
	Parameters->ColourTexture = Coarse.Texture;
	Parameters->ColourSampler = TStaticSamplerState<SF_Bilinear, AM_Clamp, AM_Clamp>::GetRHI();
	Parameters->ColourOutput = GraphBuilder.CreateUAV(Output);
	const TShaderMapRef<FC2RColourCS> Shader(GetGlobalShaderMap(GMaxRHIFeatureLevel));
	FComputeShaderUtils::AddPass(GraphBuilder, RDG_EVENT_NAME("C2R.Colour"), Shader, Parameters,
		FComputeShaderUtils::GetGroupCount(Session->Size, C2RGroupSize));
	MakeReadback(Slot.Colour, TEXT("C2R.Colour"));
	AddEnqueueCopyPass(GraphBuilder, Slot.Colour.Get(), Output);
}

void FC2RCapture::RecordGeometry(FRDGBuilder& GraphBuilder, const FSceneView& View, const FPostProcessMaterialInputs& Inputs, FSlot& Slot)
{
	const FIntPoint Size = Session->Size;
	const FRDGTextureRef Depth = MakeOutput(GraphBuilder, Size, PF_R32_FLOAT, TEXT("C2R.Depth"));
	const FRDGTextureRef Motion = MakeOutput(GraphBuilder, Size, PF_G16R16F, TEXT("C2R.Motion"));
	const FVector2D Jitter = View.ViewMatrices.GetTemporalAAJitter();
	const C2R::FPair Place = C2R::JitterPixels({Jitter.X, Jitter.Y}, 1.0, 1.0);
	const C2R::FDepthProjection Projection = C2R::DepthOfProjection(Last.ViewToClip);
	const C2R::FMatrix4 ToPrevClip = C2R::DeviceToPrevClip(Slot.Camera, C2R::IsReversed(Last.ViewToClip));
	FC2RGeometryCS::FParameters* Parameters = GraphBuilder.AllocParameters<FC2RGeometryCS::FParameters>();
	Parameters->View = View.ViewUniformBuffer;
	Parameters->OutputSize = FUintVector2(Size.X, Size.Y);
	Parameters->DepthProjection = FVector4f(static_cast<float>(Projection.ZZ), static_cast<float>(Projection.WZ),
		static_cast<float>(Projection.ZW), static_cast<float>(Projection.WW));
	Parameters->MetresPerUnit = static_cast<float>(C2R::MetresPerUnit);
	Parameters->JitterPlace = FVector2f(static_cast<float>(Place.X), static_cast<float>(Place.Y));
	Parameters->ToPrevClip = ShaderMatrixOf(ToPrevClip);
	Parameters->VelocityScale = static_cast<float>(Slot.Reset >= 0 ? 0.0 : VelocityScale);
	const FSceneTextureUniformParameters* Scene = Inputs.SceneTextures.SceneTextures->GetContents();
	Parameters->DepthTexture = Scene->SceneDepthTexture;
	Parameters->VelocityTexture = Scene->GBufferVelocityTexture;
	Parameters->DepthOutput = GraphBuilder.CreateUAV(Depth);
	Parameters->MotionOutput = GraphBuilder.CreateUAV(Motion);
	const TShaderMapRef<FC2RGeometryCS> Shader(GetGlobalShaderMap(GMaxRHIFeatureLevel));
	FComputeShaderUtils::AddPass(GraphBuilder, RDG_EVENT_NAME("C2R.Geometry"), Shader, Parameters,
		FComputeShaderUtils::GetGroupCount(Size, C2RGroupSize));
	MakeReadback(Slot.Depth, TEXT("C2R.Depth"));
	MakeReadback(Slot.Motion, TEXT("C2R.Motion"));
	AddEnqueueCopyPass(GraphBuilder, Slot.Depth.Get(), Depth);
	AddEnqueueCopyPass(GraphBuilder, Slot.Motion.Get(), Motion);
}
