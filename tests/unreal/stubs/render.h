// The same of RHI, RenderCore, Renderer and the scene view of Engine. What differs between engine
// versions is chosen by ENGINE_MINOR_VERSION, as the documentation of each version has it.
#pragma once
#include "objects.h"

class FRHITexture { public: uint64 Stub; };
class FTextureRHIRef { public: FTextureRHIRef(); FTextureRHIRef(FRHITexture*); bool IsValid() const; operator FRHITexture*() const; };
class FTextureResource { public: FTextureRHIRef TextureRHI; };
class FRHICommandListBase { public: void UpdateTexture2D(FRHITexture*, uint32 Mip, const FUpdateTextureRegion2D&, uint32 Pitch, const uint8*); };
class FRHICommandList : public FRHICommandListBase {};
class FRHICommandListImmediate : public FRHICommandList {};
#define ENQUEUE_RENDER_COMMAND(Name) struct Name##Type {}; StubEnqueue<Name##Type>
template <class N, class F> void StubEnqueue(F&& Command) { static_assert(std::is_invocable_v<F, FRHICommandListImmediate&>); (void)Command; }
void FlushRenderingCommands();
bool IsInRenderingThread();

enum class ETextureCreateFlags : uint64 { None = 0, RenderTargetable = 1, ShaderResource = 8, SRGB = 16, UAV = 512 };
ENUM_CLASS_FLAGS(ETextureCreateFlags)
struct FClearValueBinding { static const FClearValueBinding None; };
struct FRDGTextureDesc { static FRDGTextureDesc Create2D(FIntPoint, EPixelFormat, FClearValueBinding, ETextureCreateFlags); FIntPoint Extent; ETextureCreateFlags Flags; };
class FRDGTexture { public: FRDGTextureDesc Desc; };
typedef FRDGTexture* FRDGTextureRef;
class FRDGTextureUAV; typedef FRDGTextureUAV* FRDGTextureUAVRef;
class FRDGTextureSRV; typedef FRDGTextureSRV* FRDGTextureSRVRef;
class FRDGBuilder { public: FRDGTextureRef CreateTexture(const FRDGTextureDesc&, const TCHAR*); FRDGTextureUAVRef CreateUAV(FRDGTextureRef); template <class T> T* AllocParameters() { return new T(); } };
FRDGTextureRef RegisterExternalTexture(FRDGBuilder&, FRHITexture*, const TCHAR*);
class FRDGEventName {};
#define RDG_EVENT_NAME(Format, ...) FRDGEventName()

struct FResolveRect { FResolveRect(); };
class FRHIGPUMemoryReadback { public: explicit FRHIGPUMemoryReadback(FName); virtual ~FRHIGPUMemoryReadback(); bool IsReady() const; virtual void Unlock() = 0; };
class FRHIGPUTextureReadback final : public FRHIGPUMemoryReadback { public: explicit FRHIGPUTextureReadback(FName); void* Lock(int32& OutRowPitchInPixels, int32* OutBufferHeight = nullptr); virtual void Unlock() override; };
void AddEnqueueCopyPass(FRDGBuilder&, FRHIGPUTextureReadback*, FRDGTextureRef, FResolveRect = FResolveRect());

namespace ERHIFeatureLevel { enum Type { ES3_1, SM5 }; }
enum EShaderPlatform : uint8 { SP_Stub };
bool IsFeatureLevelSupported(EShaderPlatform, ERHIFeatureLevel::Type);
extern ERHIFeatureLevel::Type GMaxRHIFeatureLevel;
struct FGlobalShaderPermutationParameters { EShaderPlatform Platform; };
class FShader {}; class FGlobalShader : public FShader {};
class FGlobalShaderMap; FGlobalShaderMap* GetGlobalShaderMap(ERHIFeatureLevel::Type);
template <class T> class TShaderRef {};
template <class T> class TShaderMapRef : public TShaderRef<T> { public: explicit TShaderMapRef(const FGlobalShaderMap*) {} };
enum EShaderFrequency : uint8 { SF_Pixel, SF_Compute };
#define DECLARE_GLOBAL_SHADER(Class) public: using StubSelf = Class
#define SHADER_USE_PARAMETER_STRUCT(Class, Base) static_assert(std::is_same_v<StubSelf, Class>)
#define IMPLEMENT_GLOBAL_SHADER(Class, File, Function, Frequency) static_assert(std::is_base_of_v<FGlobalShader, Class>); \
	static_assert(std::is_same_v<decltype(&Class::ShouldCompilePermutation), bool (*)(const FGlobalShaderPermutationParameters&)>); [[maybe_unused]] static const EShaderFrequency Class##Frequency = Frequency
class FRHISamplerState;
enum ESamplerFilter { SF_Point, SF_Bilinear }; enum ESamplerAddressMode { AM_Wrap, AM_Clamp };
template <ESamplerFilter F, ESamplerAddressMode U = AM_Wrap, ESamplerAddressMode V = AM_Wrap> struct TStaticSamplerState { static FRHISamplerState* GetRHI(); };
template <class T> class TUniformBufferRef {};
struct FRenderTargetBinding {};
struct FRenderTargetBindingSlots { FRenderTargetBinding Output[8]; FRenderTargetBinding& operator[](uint32 Index) { return Output[Index]; } };
#define BEGIN_SHADER_PARAMETER_STRUCT(Name, Api) struct Name {
#define END_SHADER_PARAMETER_STRUCT() };
#define SHADER_PARAMETER(Type, Name) Type Name{};
#define SHADER_PARAMETER_RDG_TEXTURE(Type, Name) FRDGTextureRef Name = nullptr;
#define SHADER_PARAMETER_RDG_TEXTURE_UAV(Type, Name) FRDGTextureUAVRef Name = nullptr;
#define SHADER_PARAMETER_SAMPLER(Type, Name) FRHISamplerState* Name = nullptr;
#define SHADER_PARAMETER_STRUCT_REF(Type, Name) TUniformBufferRef<Type> Name;
#define RENDER_TARGET_BINDING_SLOTS() FRenderTargetBindingSlots RenderTargets;
class FRDGPass; typedef FRDGPass* FRDGPassRef;
namespace FComputeShaderUtils {
	FIntVector GetGroupCount(const FIntPoint& ThreadCount, const int32 GroupSize);
	template <class T> FRDGPassRef AddPass(FRDGBuilder&, FRDGEventName&&, const TShaderRef<T>&, typename T::FParameters*, FIntVector) { return nullptr; } }
struct FPixelShaderUtils { template <class T> static void AddFullscreenPass(FRDGBuilder&, const FGlobalShaderMap*, FRDGEventName&&, const TShaderRef<T>&, typename T::FParameters*, const FIntRect&) {} };
void AddShaderSourceDirectoryMapping(const FString& VirtualDirectory, const FString& RealDirectory);

enum class ERenderTargetLoadAction : uint8 { ENoAction, ELoad, EClear };
struct FScreenPassTextureSlice { FRDGTextureSRVRef TextureSRV; FIntRect ViewRect; bool IsValid() const; };
struct FScreenPassTexture { FScreenPassTexture(); explicit FScreenPassTexture(FRDGTextureRef); explicit FScreenPassTexture(const FScreenPassTextureSlice&); bool IsValid() const; FRDGTextureRef Texture; FIntRect ViewRect;
	static FScreenPassTexture CopyFromSlice(FRDGBuilder&, const FScreenPassTextureSlice&
#if ENGINE_MINOR_VERSION >= 4
		, FScreenPassTexture OverrideOutput = FScreenPassTexture()
#endif
	); };
struct FScreenPassRenderTarget : FScreenPassTexture { FScreenPassRenderTarget(); static FScreenPassRenderTarget CreateFromInput(FRDGBuilder&, FScreenPassTexture, ERenderTargetLoadAction, const TCHAR*); FRenderTargetBinding GetRenderTargetBinding() const; };
struct FSceneTextureUniformParameters { FRDGTextureRef SceneDepthTexture; FRDGTextureRef GBufferVelocityTexture; };
template <class T> class TRDGUniformBuffer { public: const T* GetContents() const; };
template <class T> class TRDGUniformBufferBinding { public: TRDGUniformBuffer<T>* GetUniformBuffer() const; TRDGUniformBuffer<T>* operator->() const; };
struct FSceneTextureShaderParameters { TRDGUniformBufferBinding<FSceneTextureUniformParameters> SceneTextures; };
enum class EPostProcessMaterialInput : uint32 { SceneColor = 0 };
struct FPostProcessMaterialInputs { FScreenPassRenderTarget OverrideOutput; FSceneTextureShaderParameters SceneTextures;
#if ENGINE_MINOR_VERSION >= 4
	FScreenPassTextureSlice GetInput(EPostProcessMaterialInput) const;
#else
	FScreenPassTexture GetInput(EPostProcessMaterialInput) const;
#endif
};

class FViewUniformShaderParameters;
class FRenderTarget { public: virtual ~FRenderTarget(); virtual bool GetSceneHDREnabled() const; };
class FGameTime { public: double GetWorldTimeSeconds() const; float GetDeltaWorldTimeSeconds() const; };
class FSceneViewFamily { public: const FRenderTarget* RenderTarget; uint32 FrameNumber; FGameTime Time; };
struct FViewMatrices { const FMatrix& GetViewMatrix() const; const FMatrix& GetProjectionNoAAMatrix() const; const FVector& GetViewOrigin() const; const FVector2D GetTemporalAAJitter() const; };
class FSceneView { public: const FSceneViewFamily* Family; FViewMatrices ViewMatrices; TUniformBufferRef<FViewUniformShaderParameters> ViewUniformBuffer; bool bIsSceneCapture, bIsReflectionCapture, bCameraCut; ERenderTargetLoadAction GetOverwriteLoadAction() const; };

typedef TDelegate<FScreenPassTexture(FRDGBuilder&, const FSceneView&, const FPostProcessMaterialInputs&)> FAfterPassCallbackDelegate;
typedef TArray<FAfterPassCallbackDelegate> FAfterPassCallbackDelegateArray;
struct FSceneViewExtensionContext { UWorld* GetWorld() const; };
class FAutoRegister {};
class ISceneViewExtension { public:
	enum class EPostProcessingPass : uint32 { SSRInput, MotionBlur, Tonemap, FXAA, MAX };
	virtual ~ISceneViewExtension();
	virtual void SetupViewFamily(FSceneViewFamily&) = 0; virtual void SetupView(FSceneViewFamily&, FSceneView&) = 0; virtual void BeginRenderViewFamily(FSceneViewFamily&) = 0;
	// 5.5 declares the older form too and never calls it: left out here, so that it cannot be overridden.
#if ENGINE_MINOR_VERSION >= 5
	virtual void SubscribeToPostProcessingPass(EPostProcessingPass, const FSceneView&, FAfterPassCallbackDelegateArray&, bool);
#else
	virtual void SubscribeToPostProcessingPass(EPostProcessingPass, FAfterPassCallbackDelegateArray&, bool);
#endif
protected: virtual bool IsActiveThisFrame_Internal(const FSceneViewExtensionContext&) const; };
class FSceneViewExtensionBase : public ISceneViewExtension, public TSharedFromThis<FSceneViewExtensionBase, ESPMode::ThreadSafe> { public: explicit FSceneViewExtensionBase(const FAutoRegister&); };
struct FSceneViewExtensions { template <class T, class... A> static TSharedRef<T, ESPMode::ThreadSafe> NewExtension(A&&... Arguments) { return TSharedRef<T, ESPMode::ThreadSafe>(new T(FAutoRegister(), std::forward<A>(Arguments)...)); } };
